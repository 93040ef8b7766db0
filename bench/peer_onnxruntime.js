// The forward pass of bench_step --forward-only in ONNX Runtime, for comparison. Prints one JSON object.
//
//   npm install onnxruntime-node --ignore-scripts
//   /usr/bin/python3 bench/peer_torch.py --model vit_small --batch 16 --export vit_small.onnx
//   NODE_PATH=node_modules node bench/peer_onnxruntime.js vit_small.onnx 16 [img_size] [threads]
const ort = require('onnxruntime-node');

async function main() {
  const [file, batch, size = '224', threads = '2'] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(file, {intraOpNumThreads: Number(threads), interOpNumThreads: 1});
  const dims = [Number(batch), 3, Number(size), Number(size)];
  const pixels = Float32Array.from({length: dims.reduce((a, b) => a * b)}, Math.random);
  const feeds = {[session.inputNames[0]]: new ort.Tensor('float32', pixels, dims)};
  const times = [];
  for (let i = 0; i < 14; ++i) {
    const begin = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  const sorted = times.slice(2).sort((a, b) => a - b);
  const ms = sorted[sorted.length >> 1];
  const version = require('onnxruntime-node/package.json').version;
  console.log(JSON.stringify({file, batch: dims[0], threads: Number(threads), ms, images_per_s: 1e3 * batch / ms, version}));
}

main();
