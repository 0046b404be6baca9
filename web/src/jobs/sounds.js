/** What the page shows of a sound: its outline and its spectrogram. */

import {fft} from '../core/fft.js';

const [WINDOW, COLUMNS, ROWS] = [512, 480, 128];
const [FLOOR, RANGE] = [-55, 70]; // dB

/** Lowest and highest value of each column, in -1 to 1. @param {Int16Array} samples */
export function outline(samples, columns = COLUMNS) {
  const peaks = new Float32Array(2 * columns);
  const step = samples.length / columns;
  for (let x = 0; x < columns; x++) {
    const part = samples.subarray(Math.floor(x * step), Math.max(Math.floor(x * step) + 1, Math.floor((x + 1) * step)));
    let [low, high] = [32767, -32768];
    for (let i = 0; i < part.length; i += Math.ceil(part.length / 500)) {
      low = Math.min(low, part[i]);
      high = Math.max(high, part[i]);
    }
    peaks.set([low / 32768, high / 32768], 2 * x);
  }
  return peaks;
}

/** A picture of the sound: time from left to right, frequency upwards. @param {Int16Array} samples */
export function spectrogram(samples) {
  const image = new ImageData(COLUMNS, ROWS);
  const hann = Float64Array.from({length: WINDOW}, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
  for (let x = 0; x < COLUMNS; x++) {
    const start = Math.floor((x * Math.max(0, samples.length - WINDOW)) / (COLUMNS - 1));
    const real = Float64Array.from(hann, (weight, i) => ((samples[start + i] ?? 0) / 32768) * weight);
    const power = powers(real);
    for (let y = 0; y < ROWS; y++) {
      const bins = power.subarray((y * WINDOW) / 2 / ROWS, ((y + 1) * WINDOW) / 2 / ROWS);
      const level = 10 * Math.log10(Math.max(...bins) / WINDOW + 1e-12);
      const share = Math.max(0, Math.min(1, (level - FLOOR) / RANGE));
      image.data.set(colour(share), 4 * ((ROWS - 1 - y) * COLUMNS + x));
    }
  }
  return createImageBitmap(image);
}

/** Dark blue over violet to light yellow. */
const colour = (share) => [
  255 * Math.min(1, 1.6 * share ** 1.2),
  235 * share ** 2,
  255 * (0.16 + 0.5 * Math.sin(Math.PI * Math.min(1, 1.1 * share))),
  255,
];

/** Squared magnitudes of the first half of the Fourier transform. */
function powers(real) {
  const imaginary = new Float64Array(real.length);
  fft(real, imaginary);
  return real.subarray(0, real.length / 2).map((value, i) => value ** 2 + imaginary[i] ** 2);
}
