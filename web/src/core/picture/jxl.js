/** JPEG XL pictures to pixels, by jxl-oxide's WebAssembly, which somebody else fetches. */
import {JxlImage, initSync} from 'jxl-oxide-wasm';
import {SteganoError} from '../errors.js';
import {decodePng} from '../payloads.js';

/** @param {WebAssembly.Module | Uint8Array} module @returns {import('./code.js').Decoder} */
export function decoder(module) {
  initSync({module});
  return async (file, most) => {
    const image = new JxlImage(); // freed by the collector: after a failure inside, `free` would fail, too
    try {
      image.feedBytes(file);
      if (!image.tryInit() || !image.loaded) throw new Error('it is cut short');
      const {width, height} = image;
      if (width * height > most) {
        throw new SteganoError(`holds a picture of ${width}x${height}, expected at most ${most} pixels`);
      }
      return decodePng(image.render().encodeToPng());
    } catch (error) {
      if (error instanceof SteganoError) throw error;
      throw new SteganoError(`holds a JPEG XL picture that cannot be decoded (${error.message ?? error})`, {cause: error});
    }
  };
}
