/** Keeps the whole page, so that it works without its server after the first visit. */
import {engine} from './jobs/engine.js';

const CACHE = `stegano_tf ${SITE} MODELS_VERSION`;

oninstall = (event) => {
  const store = async () => {
    const cache = await caches.open(CACHE);
    const fresh = (file) => new Request(file, {cache: 'reload'});
    await cache.addAll(['./', ...FILES, `${engine()}.js`, `${engine()}.wasm.xz`, 'models.json'].map(fresh));
    const {presets, default: first} = await (await cache.match('models.json')).json();
    await cache.add(presets[first].file);
    await skipWaiting();
  };
  event.waitUntil(store());
};

onactivate = (event) => {
  const tidy = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith('stegano_tf ') && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(tidy());
};

onfetch = (event) => {
  const {request} = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== location.origin) return;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(request, {ignoreSearch: true});
    if (kept) return kept;
    const response = await fetch(request);
    // A preset that somebody chose for the first time, or the decoder of a first picture.
    if (response.ok && /\.xz$/.test(request.url)) await cache.put(request, response.clone());
    return response;
  };
  event.respondWith(answer());
};
