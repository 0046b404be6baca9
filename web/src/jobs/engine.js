/**
 * Which build of the engine this browser runs: LiteRT's WebAssembly, without threads.
 *
 * With relaxed SIMD a processor multiplies and adds in one step, as LiteRT does for the command, so that stego images are
 * the command's. Browsers without that run the other build, which rounds in between.
 */

// A function of one instruction beside constants: i8x16.popcnt of SIMD, i8x16.relaxed_swizzle of relaxed SIMD.
const module = (...body) =>
  Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, body.length + 2, 1, body.length, ...body);
const SIMD = module(0, 65, 0, 253, 15, 253, 98, 11);
const RELAXED = module(0, 65, 0, 253, 15, 65, 0, 253, 15, 253, 128, 2, 11);

/** Whether any build runs here. */
export const runs = () => WebAssembly.validate(SIMD);

/** The name of its files, `.js` and `.wasm.xz`. */
export const engine = () => (WebAssembly.validate(RELAXED) ? 'litert' : 'litert-compat');
