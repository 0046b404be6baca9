/** How tiles cover a picture: stegano_tf/runtime/tiles.py. */

/** @typedef {[start: number, stop: number, first: number, last: number]} Span  seen [start, stop), kept [first, last) */

const roundUp = (length, multiple) => Math.ceil(length / multiple) * multiple;

/**
 * How tiles of `side`, a multiple of `multiple`, cover `length`.
 * @returns {Span[]}
 */
export function spans(length, side, halo, multiple) {
  const whole = roundUp(length, multiple);
  if (side >= whole) return [[0, length, 0, length]];
  const step = side - 2 * halo;
  const count = Math.ceil((whole - 2 * halo) / step);
  const starts = Array.from({length: count}, (_, i) => Math.min(i * step, whole - side));
  const borders = [0, ...starts.slice(1).map((start) => start + halo), length];
  return starts.map((start, i) => [start, Math.min(start + side, length), borders[i], borders[i + 1]]);
}

/**
 * The tiles of a picture, row by row.
 * @returns {{rows: Span, columns: Span}[]}
 */
export function plan(height, width, core, halo, multiple) {
  const side = roundUp(core + 2 * halo, multiple);
  const columns = spans(width, side, halo, multiple);
  return spans(height, side, halo, multiple).flatMap((rows) => columns.map((span) => ({rows, columns: span})));
}

/**
 * A tile's pixels, with its sides brought to multiples of `multiple` by mirroring at the border.
 * @param {import('./bmp.js').Picture} picture
 */
export function cut({height, width, data}, {rows: [top, bottom], columns: [left, right]}, multiple) {
  const [inner, across] = [bottom - top, right - left];
  const tile = {height: roundUp(inner, multiple), width: roundUp(across, multiple)};
  const out = new Uint8Array(3 * tile.height * tile.width);
  for (let y = 0; y < tile.height; y++) {
    const row = top + (y < inner ? y : 2 * inner - 1 - y);
    const from = 3 * (row * width + left);
    const to = 3 * y * tile.width;
    out.set(data.subarray(from, from + 3 * across), to);
    for (let x = across; x < tile.width; x++) {
      const mirrored = to + 3 * (2 * across - 1 - x);
      out.copyWithin(to + 3 * x, mirrored, mirrored + 3);
    }
  }
  return {...tile, data: out};
}

/** Writes what is kept of a network's result for a tile into a picture. */
export function paste(result, tile, {width, data}) {
  const {rows: [top, , first, last], columns: [left, , from, to]} = tile;
  for (let y = first; y < last; y++) {
    const start = 3 * ((y - top) * result.width + from - left);
    data.set(result.data.subarray(start, start + 3 * (to - from)), 3 * (y * width + from));
  }
}
