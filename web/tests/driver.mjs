/**
 * A browser that does what lines of JSON on standard input say, one answer a line: for tests/web and the benchmark.
 *
 *     {"do": "open", "url": "http://127.0.0.1:8599/", "width": 1280, "dark": false}
 */
import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {chromium} from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

const browser = await chromium.launch({executablePath: process.argv[2], args: ARGUMENTS});
let [context, page, seen] = [null, null, null];

const actions = {
  async open({url, width = 1280, height = 900, dark = false, calm = false, touch = false, keep = true}) {
    await context?.close();
    seen = {console: [], requests: []};
    context = await browser.newContext({
      viewport: {width, height},
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: calm ? 'reduce' : 'no-preference',
      hasTouch: touch,
      isMobile: touch,
      acceptDownloads: true,
      serviceWorkers: keep ? 'allow' : 'block',
    });
    context.on('request', (request) => seen.requests.push(request.url()));
    page = null;
    await tab({url});
  },
  tab: (task) => tab(task),
  files: ({selector, paths}) => page.setInputFiles(selector, paths),
  fill: ({selector, text}) => page.fill(selector, text),
  select: ({selector, value}) => page.selectOption(selector, value),
  check: ({selector}) => page.check(selector),
  click: ({selector}) => page.click(selector),
  async press({keys}) {
    for (const key of keys) await page.keyboard.press(key);
  },
  type: ({text}) => page.keyboard.type(text),
  wait: ({selector, seconds = 60}) => page.waitForSelector(selector, {timeout: 1000 * seconds}).then(() => null),
  text: ({selector}) => page.innerText(selector),
  evaluate: ({code}) => page.evaluate(code),
  async download({selector, path}) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(selector)]);
    await download.saveAs(path);
    return download.suggestedFilename();
  },
  shot: ({path, full = true}) => page.screenshot({path, fullPage: full}).then(() => null),
  offline: ({value}) => context.setOffline(value),
  reload: () => page.reload().then(() => null),
  async axe() {
    await page.evaluate(AXE); // as a script of the page, its own policy would refuse it
    const {violations} = await page.evaluate('axe.run()');
    return violations.map(({id, nodes}) => `${id}: ${nodes.map(({target}) => target).join(', ')}`);
  },
  log() {
    const {console, requests} = seen;
    seen = {console: [], requests: []};
    return {console, requests};
  },
};

async function tab({url, beside = false}) {
  if (!beside) await page?.close();
  page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.console.push(message.text());
  });
  page.on('pageerror', (error) => seen.console.push(String(error)));
  await page.goto(url);
  await page.waitForSelector('#send-form [name=preset] option', {state: 'attached'}); // the page is ready for work
}

for await (const line of createInterface({input: process.stdin})) {
  const {do: name, ...task} = JSON.parse(line);
  let answer;
  try {
    answer = {result: (await actions[name](task)) ?? null};
  } catch (error) {
    answer = {error: String(error?.stack ?? error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
