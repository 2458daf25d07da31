// webdriver.mjs - a small client of WebDriver (W3C), for Debian's chromium-driver and its headless
// Chromium; nothing but Node.js itself.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const PATIENCE_MS = 30000;
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** Ask until @what gives something, and give that. */
export async function until(name, what) {
  const end = Date.now() + PATIENCE_MS;
  let last;
  while (Date.now() < end) {
    try {
      const found = await what();
      if (found)
        return found;
      last = found;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`never: ${name} (last: ${last})`);
}

/** A browser with one window of @width by @height; dark: prefers-color-scheme. */
export async function browser({width = 1200, height = 900, dark = false} = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'warren-page-'));
  const driver = spawn('chromedriver', ['--port=0'], {stdio: ['ignore', 'pipe', 'inherit']});
  process.on('exit', () => driver.kill()); // also where something below fails
  const base = await new Promise((done, fail) => {
    let said = '';
    driver.on('exit', (code) => fail(new Error(`chromedriver ended: ${code}`)));
    driver.on('error', fail);
    driver.stdout.on('data', (piece) => {
      said += piece;
      const port = /successfully on port (\d+)/.exec(said);
      if (port)
        done(`http://127.0.0.1:${port[1]}`);
    });
  });
  const call = async (method, path, body) => {
    const response = await fetch(base + path, {method, body: body && JSON.stringify(body)});
    const {value} = await response.json();
    if (value && value.error)
      throw new Error(`${path}: ${value.message}`);
    return value;
  };
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', `--window-size=${width},${height}`, `--user-data-dir=${profile}`];
  const {sessionId} = await call('POST', '/session', {capabilities: {alwaysMatch: {
    browserName: 'chrome', acceptInsecureCerts: true, 'goog:chromeOptions': {binary: '/usr/bin/chromium', args},
    'goog:loggingPrefs': {browser: 'ALL'}}}});
  const at = `/session/${sessionId}`;
  const cdp = (cmd, params) => call('POST', `${at}/goog/cdp/execute`, {cmd, params});
  const resize = (wide, high) => cdp('Emulation.setDeviceMetricsOverride',
    {width: wide, height: high, deviceScaleFactor: 1, mobile: wide < 600});
  await resize(width, height);
  if (dark)
    await cdp('Emulation.setEmulatedMedia', {features: [{name: 'prefers-color-scheme', value: 'dark'}]});
  const find = async (css) => (await call('POST', `${at}/element`, {using: 'css selector', value: css}))[ELEMENT];
  return {
    resize,
    open: (url) => call('POST', `${at}/url`, {url}),
    url: () => call('GET', `${at}/url`),
    reload: () => call('POST', `${at}/refresh`, {}),
    run: (script, ...args) => call('POST', `${at}/execute/sync`, {script, args}),
    /** The text of what @css names; null: there is nothing. */
    text: (css) => call('POST', `${at}/execute/sync`, {
      script: 'const found = document.querySelector(arguments[0]); return found && found.textContent;', args: [css]}),
    click: async (css) => call('POST', `${at}/element/${await find(css)}/click`, {}),
    type: async (css, text) => call('POST', `${at}/element/${await find(css)}/value`, {text}),
    /** Keys to whatever has the focus. */
    press: (...keys) => call('POST', `${at}/actions`, {actions: [{type: 'key', id: 'keys',
      actions: keys.flatMap((value) => [{type: 'keyDown', value}, {type: 'keyUp', value}])}]}),
    /** What it wrote on its console, but for answers that are no 200. */
    faults: async () => (await call('POST', `${at}/se/log`, {type: 'browser'}))
      .filter((line) => line.level === 'SEVERE' && line.source !== 'network').map((line) => line.message),
    screenshot: async (file, whole = true) => {
      const {data} = await cdp('Page.captureScreenshot', {format: 'png', captureBeyondViewport: whole});
      writeFileSync(file, Buffer.from(data, 'base64'));
    },
    close: async () => {
      await call('DELETE', at).catch(() => {});
      driver.removeAllListeners('exit');
      driver.kill();
      await new Promise((done) => driver.exitCode !== null || driver.signalCode ? done() : driver.on('exit', done));
      rmSync(profile, {recursive: true, force: true, maxRetries: 5});
    },
  };
}
