import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Stops } from '../host/stops.ts';

/** Feeds pieces one by one. What has come out after each piece, and whether a stop was met. */
function feed(stops: string[], pieces: string[]) {
  const machine = new Stops(stops);
  const seen: string[] = [];
  let text = '';
  let tokens = 0;
  for (const [id, piece] of pieces.entries()) {
    const { events, stopped } = machine.push({ id, piece }, false);
    for (const event of events) {
      text += event.piece;
      assert.is(event.id, tokens++, 'tokens come in order, none left out');
    }
    seen.push(text);
    if (stopped) return { text, tokens, stopped, seen };
  }
  for (const event of machine.flush()) {
    text += event.piece;
    tokens++;
  }
  return { text, tokens, stopped: false, seen };
}

test('the output ends before the first stop text, wherever the tokens split it', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 });
  const stop = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(stop, { maxLength: 3 }), fc.array(letters, { maxLength: 12 }), (stops, pieces) => {
      const whole = pieces.join('');
      // the stop that is complete first ends the text; of those complete with the same token the earliest counts
      let expected = whole;
      let used = pieces.length;
      for (let count = 1; count <= pieces.length; count++) {
        const soFar = pieces.slice(0, count).join('');
        const found = stops.map(s => soFar.indexOf(s)).filter(at => at >= 0);
        if (found.length > 0) {
          expected = soFar.slice(0, Math.min(...found));
          used = count;
          break;
        }
      }
      const result = feed(stops, pieces);
      assert.is(result.text, expected);
      assert.is(result.tokens, used, 'every token generated comes out');
      assert.is(result.stopped, expected !== whole || stops.some(s => whole.includes(s)));
    }),
    { numRuns: 5000 },
  );
});

test('text is held back no longer than it may be the beginning of a stop', () => {
  assert.equal(feed(['\n\n'], ['a', '\n', 'b', '\n', '\n', 'c']).seen, ['a', 'a', 'a\nb', 'a\nb', 'a\nb']);
  // each "a" may begin "ab", the one before no longer
  assert.equal(feed(['ab'], ['a', 'a', 'a', 'c']).seen, ['', 'a', 'aa', 'aaac']);
});

test('a token whose bytes are incomplete waits, and takes the rest at the end', () => {
  const machine = new Stops([]);
  assert.equal(machine.push({ id: 1, piece: 'x' }, false).events, [{ id: 1, piece: 'x' }]);
  assert.equal(machine.push({ id: 2, piece: '' }, true).events, []);
  assert.equal(machine.flush('\uFFFD'), [{ id: 2, piece: '\uFFFD' }]);
});

test.run();
