/** How much two pictures differ. */

/** @returns {number} dB, over all RGB values of 8 bits; Infinity if they are the same */
export function psnr(first, second) {
  let sum = 0;
  for (let i = 0; i < first.data.length; i++) sum += (first.data[i] - second.data[i]) ** 2;
  return sum ? 10 * Math.log10((255 ** 2 * first.data.length) / sum) : Infinity;
}
