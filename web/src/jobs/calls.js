/** Calls to a worker: each message gets one answer, and perhaps progress before it. */

/**
 * @param {Worker} worker
 * @returns {(what: string, task?: object, transfer?: Transferable[], onProgress?: (report: any) => void) => Promise<any>}
 */
export function caller(worker) {
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({data: {id, result, error, progress}}) => {
    const {resolve, reject, onProgress} = waiting.get(id);
    if (progress !== undefined) return onProgress?.(progress);
    waiting.delete(id);
    return error === undefined ? resolve(result) : reject(Object.assign(new Error(error.message ?? error), error));
  };
  worker.onerror = (event) => {
    event.preventDefault?.();
    for (const {reject} of waiting.values()) reject(new Error(event.message ?? 'a worker has failed'));
    waiting.clear();
  };
  return (what, task = {}, transfer = [], onProgress = undefined) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, {resolve, reject, onProgress});
      worker.postMessage({id: last, what, ...task}, transfer);
    });
}
