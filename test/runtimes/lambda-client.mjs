// What AWS's runtime interface client does for a streaming function, by the protocol of the Runtime API: HANDLER'S MODULE.

import { request } from 'node:http';
import { pathToFileURL } from 'node:url';

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

globalThis.awslambda = {
  streamifyResponse: handler => handler,
  HttpResponseStream: {
    // the head as JSON, eight zeros, then the body
    from(stream, head) {
      stream.setHeader('content-type', 'application/vnd.awslambda.http-integration-response');
      stream.write(JSON.stringify(head));
      stream.write(new Uint8Array(8));
      return stream;
    },
  },
};

const { handler } = await import(pathToFileURL(process.argv[2]).href);
for (;;) {
  const next = await fetch(`${api}/next`);
  const event = await next.json();
  const id = next.headers.get('lambda-runtime-aws-request-id');
  await new Promise((resolve, reject) => {
    const stream = request(`${api}/${id}/response`, {
      method: 'POST',
      headers: { 'lambda-runtime-function-response-mode': 'streaming', 'transfer-encoding': 'chunked' },
    });
    stream.on('response', answer => answer.resume().on('end', resolve)).on('error', reject);
    handler(event, stream).catch(reject);
  });
}
