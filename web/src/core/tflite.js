/**
 * A TFLite file for pictures of one size, made of one for any size: LiteRT.js cannot resize inputs.
 *
 * The shapes of inputs and outputs, [1, height, width, 3], are overwritten where they stand in the flatbuffer, and the
 * engine works out all others. Its format: https://github.com/tensorflow/tensorflow, tensorflow/compiler/mlir/lite/
 * schema/schema.fbs (Model.subgraphs 2; SubGraph.tensors 0, inputs 1, outputs 2; Tensor.shape 0, shape_signature 7).
 */

const [SUBGRAPHS, TENSORS, INPUTS, OUTPUTS, SHAPE, SIGNATURE] = [2, 0, 1, 2, 0, 7];

/** @param {Uint8Array} file @param {number} height @param {number} width @returns {Uint8Array} of the same length */
export function withSize(file, height, width) {
  const copy = file.slice();
  const data = new DataView(copy.buffer);
  const follow = (at) => at + data.getUint32(at, true);
  const vector = (table, field) => {
    const names = table - data.getInt32(table, true);
    const entry = 4 + 2 * field;
    const offset = entry < data.getUint16(names, true) ? data.getUint16(names + entry, true) : 0;
    if (!offset) return null;
    const at = follow(table + offset);
    return {length: data.getUint32(at, true), at: at + 4};
  };
  const graph = follow(vector(follow(0), SUBGRAPHS).at);
  const tensors = vector(graph, TENSORS).at;
  const outer = new Set();
  for (const field of [INPUTS, OUTPUTS]) {
    const {length, at} = vector(graph, field);
    for (let i = 0; i < length; i++) outer.add(data.getInt32(at + 4 * i, true));
  }
  const written = new Set();
  for (const number of outer) {
    for (const field of [SHAPE, SIGNATURE]) {
      const shape = vector(follow(tensors + 4 * number), field);
      if (!shape) continue;
      if (shape.length !== 4) throw new Error(`tensor ${number} has ${shape.length} dimensions, expected 4`);
      [1, height, width, 3].forEach((size, i) => data.setInt32(shape.at + 4 * i, size, true));
      written.add(shape.at);
    }
  }
  // A file may keep equal shapes once: one of these must not be an inner tensor's, too.
  const count = vector(graph, TENSORS).length;
  for (let number = 0; number < count; number++) {
    for (const field of [SHAPE, SIGNATURE]) {
      const shape = vector(follow(tensors + 4 * number), field);
      if (shape && !outer.has(number) && written.has(shape.at)) throw new Error('shapes are shared in this file');
    }
  }
  return copy;
}
