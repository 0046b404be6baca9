/** What is shown of a finished job. */
import {compareView} from './compare.js';
import {make, picture, save} from './dom.js';
import {soundView} from './sound.js';
import {STRINGS} from './strings.js';
import {ask} from './work.js';

const POOR = 30; // dB below which a picture's errors are plain to see

const button = (text, onclick, className = '') => make('button', {type: 'button', className, onclick}, text);
const facts = (entries) =>
  make('dl', {}, ...entries.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
const framed = (bitmap, caption) =>
  make('figure', {}, make('figcaption', {}, caption), picture(bitmap, caption));

/** A button that saves one of the worker's last pictures as PNG. */
const saveButton = (name, file, tell) =>
  button(STRINGS[`save_${name}`], async () => {
    try {
      save(await ask('file', {name}), file);
    } catch (error) {
      tell(error);
    }
  });

/** A button that shares a file, where that is possible. @param {File} file */
const shareButton = (file) =>
  navigator.canShare?.({files: [file]})
    ? button(STRINGS.share, () => navigator.share({files: [file]}).catch(() => {}))
    : null;

/** @param {object} sent what the job `send` gives */
export function sentView(sent, tell) {
  const name = 'message.wav';
  const {file: blob} = sent;
  const file = new File([blob], name, {type: blob.type});
  const buttons = [
    button(STRINGS.download_sound, () => save(blob, name), 'primary'),
    shareButton(file),
    saveButton('stego', 'stego.png', tell),
  ];
  const {cover, secret} = sent.psnr;
  const poor = Math.min(cover, secret) < POOR && STRINGS.poor(STRINGS.decibel(cover), STRINGS.decibel(secret));
  return [
    make('h3', {}, STRINGS.sent_title),
    poor ? make('p', {className: 'warning'}, poor) : null,
    make('div', {className: 'buttons'}, ...buttons),
    soundView(blob, sent.sound),
    facts([
      [STRINGS.length, STRINGS.seconds(sent.sound.seconds)],
      [STRINGS.size, STRINGS.bytes(blob.size)],
      [STRINGS.cover_quality, STRINGS.decibel(cover)],
      [STRINGS.secret_quality, STRINGS.decibel(secret)],
    ]),
    make('small', {}, STRINGS.quality_hint),
    make('div', {className: 'pair'}, compareView(sent.pictures), framed(sent.pictures.secret, STRINGS.checked[sent.checked])),
  ];
}

/** @param {object} hidden what the job `hide` gives @param {File} secret */
export function hiddenView({file: blob, bytes, psnr, pictures}, secret) {
  const name = 'stego.png';
  const file = new File([blob], name, {type: blob.type});
  const quality = STRINGS.decibel(psnr);
  return [
    make('h3', {}, STRINGS.hidden_title),
    psnr < POOR ? make('p', {className: 'warning'}, STRINGS.full(quality)) : null,
    make('div', {className: 'buttons'},
      button(STRINGS.download_picture, () => save(blob, name), 'primary'), shareButton(file)),
    facts([
      [STRINGS.content, secret.name],
      [STRINGS.size, STRINGS.bytes(bytes)],
      [STRINGS.cover_quality, quality],
    ]),
    make('small', {}, STRINGS.exact_hint),
    compareView(pictures),
  ];
}

/** @param {object} received what the job `receive` gives for bytes that lay in a picture, and `url` of a picture file */
function foundView({name, blob, url, pictures}, entries, sound, tell) {
  const secret = url
    ? make('figure', {}, make('figcaption', {}, name), make('img', {src: url, alt: name}))
    : pictures.secret && framed(pictures.secret, name);
  return [
    make('h3', {}, STRINGS.received_title),
    make('div', {className: 'buttons'},
      button(STRINGS.save_file(name), () => save(blob, name), 'primary'), saveButton('stego', 'stego.png', tell)),
    make('div', {className: 'pair'},
      secret, framed(pictures.stego, STRINGS.stego)),
    facts([[STRINGS.content, name], [STRINGS.size, STRINGS.bytes(blob.size)], ...entries]),
    sound,
  ];
}

/** @param {object} received what the job `receive` gives */
export function receivedView(received, file, tell) {
  const names = STRINGS.fact_names;
  const [height, width] = received.size;
  const entries = [
    [names.form, STRINGS.forms[received.form]],
    [names.sealed, received.sealed ? STRINGS.yes : STRINGS.no],
    [names.stego, STRINGS.pixels(width, height)],
  ];
  if (received.damage) entries.push([names.damage, STRINGS.damage(received.damage)]);
  const sound = received.sound && soundView(file, received.sound);
  if (received.blob) return foundView(received, entries, sound, tell);
  const [tall, wide] = received.secretSize;
  entries.push([names.preset, received.preset], [names.secret, STRINGS.pixels(wide, tall)]);
  const warnings = [];
  if (received.guessed) warnings.push((sound ? STRINGS.guessed : STRINGS.no_bytes)(received.preset));
  const [high, broad] = received.stated;
  if (high !== tall || broad !== wide) {
    warnings.push(STRINGS.scaled(`${broad}x${high}`, height * width, `${wide}x${tall}`));
  }
  return [
    make('h3', {}, STRINGS.received_title),
    ...warnings.map((text) => make('p', {className: 'warning'}, text)),
    make('div', {className: 'buttons'}, saveButton('secret', 'secret.png', tell), saveButton('stego', 'stego.png', tell)),
    make('div', {className: 'pair'},
      framed(received.pictures.secret, STRINGS.revealed), framed(received.pictures.stego, STRINGS.stego)),
    facts(entries),
    sound,
  ];
}

/** @param {{identity: string, recipient: string}} key */
export function keyView({identity, recipient}) {
  const text = `# public key: ${recipient}\n${identity}\n`;
  return [
    make('label', {}, STRINGS.key_recipient, make('input', {readOnly: true, value: recipient, className: 'code'})),
    button(STRINGS.key_save, () => save(new Blob([text], {type: 'text/plain'}), 'identity.txt'), 'primary'),
  ];
}
