/**
 * Builds the page into stegano_tf/web/site, or with --check compares what is there with a fresh build.
 *
 *     npm ci && node build.mjs [--check]
 */
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as esbuild from 'esbuild';
import xz from 'xz-decompress';
import {STRINGS} from './src/page/strings.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SITE = join(HERE, '../stegano_tf/web/site');
const WASM = join(HERE, 'node_modules/@litertjs/core/wasm');
const ENGINES = {litert: 'litert_wasm_internal', 'litert-compat': 'litert_wasm_compat_internal'}; // src/jobs/engine.js
const TARGET = ['chrome111', 'firefox113', 'safari16.4'];

// As stegano_tf/web/site.py has it, without what only a header can say.
const POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; " +
  "media-src blob:; object-src 'none'; base-uri 'none'; form-action 'none'";

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

const bundle = (entry, more = {}) =>
  esbuild.build({
    entryPoints: [join(HERE, 'src', entry)],
    bundle: true,
    minify: true,
    format: 'iife',
    target: TARGET,
    legalComments: 'none', // licences.txt has them
    logOverride: {'empty-import-meta': 'silent'}, // jxl-oxide's own way to its WebAssembly, which is not taken
    metafile: true,
    absWorkingDir: HERE,
    write: false,
    ...more,
  });

async function build(folder) {
  await mkdir(folder, {recursive: true});
  const write = (name, content) => writeFile(join(folder, name), content);
  const packages = new Set();
  for (const [name, entry, more] of [
    ['page.js', 'page/main.js'],
    ['style.css', 'page/style.css'],
    ['job.js', 'jobs/job.js'],
    // LiteRT.js says on the console that there is no graphics card, which is not asked for.
    ['network.js', 'jobs/network.js', {drop: ['console']}],
  ]) {
    const {outputFiles: [{contents}], metafile} = await bundle(entry, more);
    await write(name, contents);
    for (const input of Object.keys(metafile.inputs)) {
      const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input);
      if (found) packages.add(found[1]);
    }
  }
  for (const [name, file] of Object.entries(ENGINES)) {
    const script = await readFile(join(WASM, `${file}.js`), 'utf8');
    await write(`${name}.js`, (await esbuild.transform(script, {minify: true, target: TARGET})).code);
    await write(`${name}.wasm.xz`, await packed(`${name}.wasm.xz`, await readFile(join(WASM, `${file}.wasm`))));
  }
  const jxl = await readFile(join(HERE, 'node_modules/jxl-oxide-wasm/jxl_oxide_wasm_bg.wasm'));
  await write('jxl.wasm.xz', await packed('jxl.wasm.xz', jxl));
  await cp(join(HERE, 'static'), folder, {recursive: true});
  const html = await readFile(join(HERE, 'src/page/index.html'), 'utf8');
  const words = {...STRINGS, policy: POLICY};
  await write('index.html', html.replace(/{{(\w+)}}/g, (_, name) => escaped(words[name])));
  await write('licences.txt', (await Promise.all([...packages].sort().map(licence))).join('\n\n'));
  const files = (await readdir(folder)).filter((name) => name !== 'sw.js').sort();
  const hash = createHash('sha256');
  for (const name of files) hash.update(name).update(await readFile(join(folder, name)));
  const first = files.filter((name) => name !== 'index.html' && !/^(litert|jxl)/.test(name)); // sw.js adds one engine
  const define = {SITE: JSON.stringify(hash.digest('hex').slice(0, 16)), FILES: JSON.stringify(first)};
  await write('sw.js', (await bundle('sw.js', {define})).outputFiles[0].contents);
}

/** What the page must say of a package that is in it. */
async function licence(name) {
  const folder = join(HERE, 'node_modules', name);
  const {version, license, repository} = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const read = (file) => readFile(join(folder, file), 'utf8');
  const text = await read('LICENSE').catch(() => read('LICENSE-MIT')).catch(() => `${license}\n`);
  return `== ${name} ${version}, ${repository.url ?? repository}\n\n${text}`;
}

/** An engine, packed: as it lies there if that is the same one, since xz may pack otherwise tomorrow. */
async function packed(name, engine) {
  const there = await readFile(join(SITE, name)).catch(() => null);
  if (there && Buffer.compare(engine, await unpacked(there)) === 0) return there;
  const {stdout, status, error} = spawnSync('xz', ['--lzma2=preset=9e,dict=16MiB', '--check=crc32', '--stdout'], {
    input: engine,
    maxBuffer: engine.length,
  });
  if (status !== 0) throw error ?? new Error('xz failed');
  return stdout;
}

const unpacked = async (packed) =>
  Buffer.from(await new Response(new xz.XzReadableStream(new Blob([packed]).stream())).arrayBuffer());

async function different(fresh) {
  const names = new Set([...(await readdir(SITE)), ...(await readdir(fresh))]);
  const wrong = [];
  for (const name of names) {
    const [one, other] = await Promise.all([SITE, fresh].map((folder) => readFile(join(folder, name)).catch(() => null)));
    if (!one || !other || Buffer.compare(one, other)) wrong.push(name);
  }
  return wrong;
}

if (process.argv.includes('--check')) {
  const fresh = await mkdtemp(join(tmpdir(), 'stegano_tf_web'));
  await build(fresh);
  const wrong = await different(fresh);
  await rm(fresh, {recursive: true});
  if (wrong.length) {
    console.error(`stegano_tf/web/site is not what web/ builds: ${wrong.join(', ')}; run node build.mjs`);
    process.exit(1);
  }
} else {
  await build(SITE);
}
