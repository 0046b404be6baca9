/** The worker that does the jobs, with progress, an estimate and cancelling. */
import {caller} from '../jobs/calls.js';
import {$} from './dom.js';
import {STRINGS} from './strings.js';

const SOON = 2; // seconds of work before there is an estimate, and the least that is worth telling

let worker = null;
let call = null;
let cancel = null;
let stopped = 0; // times
let ready = Promise.resolve();

/** Lets the worker start only after this. @param {Promise<void>} promise */
export const after = (promise) => (ready = promise);

/** @returns {Promise<any>} what the worker answers; raises its error */
export async function ask(what, task = {}, transfer = [], onProgress = undefined) {
  const before = stopped;
  await ready;
  if (before !== stopped) throw new Stopped(STRINGS.cancelled);
  if (!worker) {
    worker = new Worker('job.js');
    call = caller(worker);
  }
  return call(what, task, transfer, onProgress);
}

/** As `ask`, and shows how far it is; raises Stopped if somebody cancels. */
export async function work(what, task, transfer) {
  const [box, stage, bar] = ['#progress', '#stage', '#progress progress'].map((selector) => $(selector));
  let [current, began] = ['', 0];
  const show = ({stage: name, done, total}) => {
    if (name !== current) [current, began] = [name, performance.now()];
    const seconds = (performance.now() - began) / 1000;
    const left = Math.round((seconds * (total - done)) / done);
    const estimate = done && seconds > SOON && left >= SOON ? `: ${STRINGS.left(left)}` : '';
    stage.textContent = `${STRINGS.stages[name]}${estimate}`;
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute('value');
  };
  stage.textContent = STRINGS.stages.loading;
  bar.removeAttribute('value');
  box.hidden = false;
  try {
    const halt = new Promise((_, reject) => (cancel = () => reject(new Stopped(STRINGS.cancelled))));
    return await Promise.race([ask(what, task, transfer, show), halt]);
  } finally {
    box.hidden = true;
    cancel = null;
  }
}

/** Somebody pressed Cancel. */
export class Stopped extends Error {}

/** Ends the job in progress, and its workers with it. */
export function stop() {
  stopped += 1;
  worker?.terminate();
  worker = null;
  cancel?.();
}
