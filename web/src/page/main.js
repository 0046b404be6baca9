/** The page: three tasks, send, hide and receive. The work is done in workers; here is what people touch. */
import {runs} from '../jobs/engine.js';
import {$, $$, make} from './dom.js';
import {hiddenView, keyView, receivedView, sentView} from './results.js';
import {isPicture, prepare} from './sound.js';
import {STRINGS} from './strings.js';
import {lookAtPicture, well} from './well.js';
import {Stopped, after, ask, stop, work} from './work.js';

const TASKS = ['send', 'hide', 'receive'];
const PATIENCE = 2000; // milliseconds
// A job takes some 70 bytes a pixel beside the engine: this keeps a pair below 1.5 GB. Phones report up to 4 GB.
const MOST_PIXELS = (navigator.deviceMemory ?? 8) <= 4 ? 8_000_000 : 16_000_000;

const [sendForm, hideForm, receiveForm] = TASKS.map((task) => $(`#${task}-form`));
const [errorBox, status] = [$('#error'), $('#status')];

function refused(error) {
  if (error instanceof Stopped) {
    status.textContent = error.message;
    return;
  }
  errorBox.textContent = error.expected ? error.message : wordsFor(error);
  errorBox.hidden = false;
  errorBox.scrollIntoView({block: 'nearest'});
}

/** What browsers say in words of their own. */
function wordsFor({name, message}) {
  if (name === 'NotReadableError' || name === 'NotFoundError') return STRINGS.changed;
  return name === 'RangeError' || /memory|allocation/i.test(message) ? STRINGS.no_memory : message;
}

function cleared() {
  errorBox.hidden = true;
  status.textContent = '';
}

const tell = {refused, changed: cleared};
const lookAt = (file) => lookAtPicture(file, MOST_PIXELS);
const lookAtAny = async (file) => ((await isPicture(file)) ? lookAt(file) : {text: STRINGS.bytes(file.size)});
const weigh = async (file) => ({text: STRINGS.bytes(file.size)});
const wells = {
  cover: well('cover', 'picture', lookAt, tell),
  secret: well('secret', 'picture', lookAt, tell),
  holder: well('holder', 'picture', lookAt, tell),
  content: well('content', 'file', weigh, tell),
  sound: well('sound', 'sound', lookAtAny, tell),
};
const WELLS = {send: [wells.cover, wells.secret], hide: [wells.holder, wells.content], receive: [wells.sound]};

/** Runs one job at a time, and shows what comes of it. */
async function run(form, result, job) {
  cleared();
  result.hidden = true;
  result.replaceChildren();
  const buttons = $$('button[type=submit]');
  buttons.forEach((button) => (button.disabled = true));
  try {
    const {views, milliseconds} = await job();
    result.replaceChildren(...views.filter(Boolean));
    result.hidden = false;
    result.focus({preventScroll: true});
    result.scrollIntoView({block: 'start', behavior: calm.matches ? 'auto' : 'smooth'});
    status.textContent = STRINGS.done_in(milliseconds / 1000);
  } catch (error) {
    refused(error);
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

function lockOf(values) {
  if (values.seal === 'passphrase') return {passphrase: values.passphrase};
  if (values.seal !== 'recipients') return null;
  return {recipients: values.recipients.split('\n').filter((line) => line.trim())};
}

sendForm.onsubmit = (event) => {
  event.preventDefault();
  run(sendForm, $('#sent'), async () => {
    const [cover, secret] = [wells.cover.file, wells.secret.file];
    if (!cover || !secret) throw new Error(STRINGS.need_pictures);
    const values = Object.fromEntries(new FormData(sendForm));
    const {form, payload, preset} = values;
    const carrier = form === 'carried' && values.carrier.size ? {file: values.carrier} : null;
    const task = {cover, secret, preset, form, payload, carrier, lock: lockOf(values), most: MOST_PIXELS};
    const sent = await work('send', task);
    return {views: sentView(sent, refused), ...sent};
  });
};

hideForm.onsubmit = (event) => {
  event.preventDefault();
  run(hideForm, $('#held'), async () => {
    const [cover, secret] = [wells.holder.file, wells.content.file];
    if (!cover || !secret) throw new Error(STRINGS.need_files);
    const lock = lockOf(Object.fromEntries(new FormData(hideForm)));
    const hidden = await work('hide', {cover, secret, lock, most: MOST_PIXELS});
    return {views: hiddenView(hidden, secret), ...hidden};
  });
};

receiveForm.onsubmit = (event) => {
  event.preventDefault();
  run(receiveForm, $('#received'), async () => {
    const {file} = wells.sound;
    if (!file) throw new Error(STRINGS.need_sound);
    const picture = await isPicture(file);
    const {given, transfer} = picture ? {given: {file, picture}} : await prepare(file);
    const values = Object.fromEntries(new FormData(receiveForm));
    const identityText = values.identity.size ? await values.identity.text() : null;
    const key = {passphrase: values.passphrase || null, identityText, bare: values.bare === 'on'};
    const received = await work('receive', {given, key, preset: values.preset || null, most: MOST_PIXELS}, transfer);
    const {blob, name, pictures} = received;
    if (blob && !pictures.secret) {
      // Any file, perhaps a picture: the browser says so, and looks at its size before it decodes.
      received.url = (await lookAt(new File([blob], name)).catch(() => null))?.url;
    }
    return {views: receivedView(received, file, refused), ...received};
  });
};

/** Shows the fields that a choice needs. */
function fit() {
  for (const form of [sendForm, hideForm]) {
    const values = Object.fromEntries(new FormData(form));
    for (const field of $$('[data-for]', form)) {
      const [name, value] = field.dataset.for.split('=');
      field.hidden = values[name] !== value;
    }
  }
}

/** The task that the address names. */
const chosen = () => TASKS.find((name) => location.hash === `#${name}`) ?? TASKS[0];

function go() {
  const task = chosen();
  cleared();
  for (const name of TASKS) $(`#task-${name}`).hidden = name !== task;
  for (const link of $$('nav a')) {
    if (link.dataset.task === task) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

/** Pasted files go where there is none yet. */
function paste(event) {
  const file = [...event.clipboardData.files][0];
  if (!file) return;
  event.preventDefault();
  const places = WELLS[chosen()];
  (places.find((place) => !place.file) ?? places[0]).take(file);
}

async function listPresets() {
  const {presets, default: first} = await (await fetch('models.json')).json();
  for (const [form, preferred] of [[sendForm, first], [receiveForm, '']]) {
    const options = Object.keys(presets).map((name) =>
      make('option', {value: name, selected: name === preferred}, STRINGS.preset_names[name] ?? name),
    );
    form.elements.preset.append(...options);
  }
}

/** Lets the service worker fetch everything, once; says whether the page works offline from now on. */
async function keep() {
  try {
    const {serviceWorker} = navigator;
    const registration = await serviceWorker.register('sw.js', {updateViaCache: 'all'});
    const coming = registration.installing;
    if (coming && !registration.active) {
      await new Promise((resolve, reject) => {
        coming.onstatechange = () => (coming.state === 'redundant' ? reject() : coming.state === 'activated' && resolve());
      });
    }
    // A worker that starts earlier would fetch everything again.
    if (!serviceWorker.controller) {
      await new Promise((resolve) => {
        serviceWorker.oncontrollerchange = resolve;
        setTimeout(resolve, PATIENCE); // a page that was reloaded past its service worker has none
      });
    }
    $('#offline').textContent = STRINGS.offline_ready;
  } catch {
    $('#offline').textContent = STRINGS.not_kept;
  }
}

async function start() {
  addEventListener('hashchange', go);
  addEventListener('paste', paste);
  // A file that misses its place must not replace the page.
  for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
  sendForm.onchange = hideForm.onchange = fit;
  // What only the command does can be reached and read, and not chosen.
  for (const choice of $$('[aria-disabled=true]')) choice.onclick = (event) => event.preventDefault();
  $('#cancel').onclick = stop;
  $('#key-make').onclick = async () => {
    $('#key-made').replaceChildren(...keyView(await ask('keygen')));
    $('#key-made').hidden = false;
  };
  go();
  fit();
  if (!runs()) refused(new Error(STRINGS.no_wasm));
  else if (!isSecureContext) refused(new Error(STRINGS.insecure));
  after(keep());
  await listPresets().catch(refused);
}

start();
