/** A place that takes a file: dropped, pasted, chosen, or taken by a camera. */
import {$, make} from './dom.js';
import {STRINGS} from './strings.js';

const TOUCH = matchMedia('(pointer: coarse)');
const KINDS = {
  picture: {accept: 'image/*', drop: STRINGS.drop_picture},
  sound: {accept: 'audio/*,image/*,.wav,.flac', drop: STRINGS.drop_sound},
  file: {accept: '', drop: STRINGS.drop_file},
};

/**
 * Fills the element of `data-well=name`; the result's `file` is what was chosen.
 * @param {string} name @param {'picture' | 'sound' | 'file'} kind
 * @param {(file: File) => Promise<{url?: string, text: string}>} look  says what to show; raises for what is refused
 * @param {{refused(error: Error): void, changed(): void}} tell
 */
export function well(name, kind, look, tell) {
  const root = $(`[data-well=${name}]`);
  const {accept, drop} = KINDS[kind];
  const input = make('input', {type: 'file', accept, id: `file-${name}`, className: 'hidden-input'});
  const icon = $(`#icon-${kind}`).content.cloneNode(true);
  const preview = make('img', {alt: '', hidden: true});
  const text = make('span', {className: 'what'}, drop);
  const title = make('span', {className: 'name'}, STRINGS[name], ' ', make('small', {}, STRINGS[`${name}_hint`]));
  root.append(input, make('label', {htmlFor: input.id}, icon, preview, title, text));
  const self = {file: null};

  self.take = async (file) => {
    if (!file) return;
    try {
      const {url, text: found} = await look(file);
      self.file = file;
      preview.hidden = !url;
      if (preview.src) URL.revokeObjectURL(preview.src);
      if (url) preview.src = url;
      else preview.removeAttribute('src');
      text.textContent = `${file.name} · ${found}`;
      root.classList.add('full');
      root.classList.toggle('seen', Boolean(url));
      tell.changed();
    } catch (error) {
      tell.refused(error);
    }
  };
  // The same file may be chosen again, after it has changed: without a value that counts as a change.
  const chosen = (event) => {
    const [file] = event.target.files;
    event.target.value = '';
    return self.take(file);
  };
  input.onchange = chosen;
  if (kind === 'picture' && TOUCH.matches) {
    const camera = make('input', {type: 'file', accept, id: `camera-${name}`, className: 'hidden-input'});
    camera.setAttribute('capture', 'environment');
    camera.onchange = chosen;
    root.append(camera, make('label', {htmlFor: camera.id, className: 'camera'}, STRINGS.camera(STRINGS[name])));
  }
  root.ondragover = (event) => {
    event.preventDefault();
    root.classList.add('over');
  };
  root.ondragleave = () => root.classList.remove('over');
  root.ondrop = (event) => {
    event.preventDefault();
    root.classList.remove('over');
    self.take(event.dataTransfer.files[0]);
  };
  return self;
}

/** What a picture file shows before it is decoded; refuses one with more than `most` pixels. @param {File} file */
export async function lookAtPicture(file, most) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  const size = await new Promise((resolve, reject) => {
    image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => reject(new Error(STRINGS.no_picture(file.name)));
    image.src = url;
  }).catch((error) => {
    URL.revokeObjectURL(url);
    throw error;
  });
  if (size[0] * size[1] > most) {
    URL.revokeObjectURL(url);
    throw new Error(STRINGS.too_large(file.name, ...size, most));
  }
  return {url, text: STRINGS.pixels(...size)};
}
