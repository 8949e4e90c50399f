import { startPage } from '../chromium.ts';
import { makeOnnx } from '../make-onnx.ts';
import { runContender } from '../protocol.ts';

await runContender(task => {
  makeOnnx(task.model);
  return startPage('onnxruntime-web.html', task);
});
