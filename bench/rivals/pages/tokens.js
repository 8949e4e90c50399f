/** Times `n` tokens made one by one: `first()` runs the prompt and gives the first token, `next(id)` the one after. */
export async function timeTokens(n, first, next) {
  const output = [];
  const start = performance.now();
  let id = await first();
  const firstAt = performance.now();
  output.push(id);
  while (output.length < n) {
    id = await next(id);
    output.push(id);
  }
  return { output, promptMs: firstAt - start, decodeMs: performance.now() - firstAt };
}
