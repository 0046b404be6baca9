/** Pictures of another size, by the integer arithmetic of Pillow's `resize(LANCZOS)` (src/libImaging/Resample.c). */

const SUPPORT = 3;
const PRECISION = 22; // bits behind the point: 32 less 8 for the pixel and 2 for weights above 1

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const lanczos = (x) => (x >= -SUPPORT && x < SUPPORT ? sinc(x) * sinc(x / SUPPORT) : 0);

/** For each of `to` pixels: the first source pixel, and the weights from there on, as integers. */
function weights(from, to) {
  const scale = from / to;
  const filter = Math.max(scale, 1);
  const support = SUPPORT * filter;
  return Array.from({length: to}, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(from, Math.trunc(centre + support + 0.5));
    const values = Array.from({length: last - first}, (_, x) => lanczos((x + first - centre + 0.5) * (1 / filter)));
    const sum = values.reduce((total, value) => total + value, 0);
    const kernel = values.map((value) => {
      const normal = sum === 0 ? value : value / sum;
      return Math.trunc((normal < 0 ? -0.5 : 0.5) + normal * (1 << PRECISION));
    });
    return {first, kernel: Int32Array.from(kernel)};
  });
}

const clip = (sum) => Math.min(255, Math.max(0, sum >> PRECISION));

/** One pass over `lines` lines of `from` pixels; strides in bytes say whether these are rows or columns. */
function pass(data, lines, from, to, line, pixel, out, outLine, outPixel) {
  const table = weights(from, to);
  for (let i = 0; i < lines; i++) {
    for (let x = 0; x < to; x++) {
      const {first, kernel} = table[x];
      let [red, green, blue] = [1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)];
      for (let k = 0, at = i * line + first * pixel; k < kernel.length; k++, at += pixel) {
        red += data[at] * kernel[k];
        green += data[at + 1] * kernel[k];
        blue += data[at + 2] * kernel[k];
      }
      const at = i * outLine + x * outPixel;
      out[at] = clip(red);
      out[at + 1] = clip(green);
      out[at + 2] = clip(blue);
    }
  }
  return out;
}

const across = ({height, width, data}, to) => ({
  height,
  width: to,
  data: pass(data, height, width, to, 3 * width, 3, new Uint8Array(3 * height * to), 3 * to, 3),
});
const down = ({height, width, data}, to) => ({
  height: to,
  width,
  data: pass(data, width, height, to, 3, 3 * width, new Uint8Array(3 * width * to), 3, 3 * width),
});

/** @param {import('./bmp.js').Picture} picture @returns {import('./bmp.js').Picture} itself if of that size */
export function resize(picture, height, width) {
  const steps = [];
  if (width !== picture.width) steps.push((of) => across(of, width));
  if (height !== picture.height) steps.push((of) => down(of, height));
  // As the package's: the side that shrinks goes first if the other one grows.
  if (height < picture.height && width > picture.width) steps.reverse();
  return steps.reduce((of, step) => step(of), picture);
}
