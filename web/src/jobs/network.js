/**
 * One engine in a worker of its own: runs a preset's networks on tiles.
 *
 * A classic worker, because LiteRT.js loads its WebAssembly by importScripts, which module workers lack.
 */
import {Tensor, loadAndCompile, loadLiteRt} from '@litertjs/core';
import {withSize} from '../core/tflite.js';

let files = {};
let compiled = {};

async function load({module, script, networks}) {
  files = networks;
  // The engine itself would wait for ever for a module that cannot be started, as where memory is short.
  const failed = new Promise((_, reject) => {
    self.Module = {
      instantiateWasm(imports, done) {
        WebAssembly.instantiate(module, imports).then((instance) => done(instance, module), reject);
        return {};
      },
      print() {},
      printErr() {}, // its notices would be console errors
    };
  });
  await Promise.race([loadLiteRt(script), failed]);
}

async function run({name, pictures, height, width}) {
  const key = `${name} ${height} ${width}`;
  if (compiled.key !== key) {
    compiled.model?.delete();
    compiled = {key, model: await loadAndCompile(withSize(files[name], height, width), {accelerator: 'wasm'})};
  }
  const inputs = Object.fromEntries(
    Object.entries(pictures).map(([input, data]) => [input, new Tensor(data, [1, height, width, 3])]),
  );
  const [output] = Object.values(await compiled.model.run(inputs));
  const data = (await output.data()).slice();
  for (const tensor of [output, ...Object.values(inputs)]) tensor.delete();
  return data;
}

onmessage = async ({data: {id, what, ...task}}) => {
  try {
    const result = await (what === 'load' ? load(task) : run(task));
    postMessage({id, result}, result ? [result.buffer] : []);
  } catch (error) {
    postMessage({id, error: String(error?.message ?? error)});
  }
};
