// test.mjs - the page of a running worker in headless Chromium. Run by tests/page/run.
import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {createServer} from 'node:http';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {browser, until} from './webdriver.mjs';

const {WARREN, PLUGINS, SCRATCH, CERTS, BROKER_URI} = process.env;
const TAB = '\uE004';
const ENTER = '\uE007';
const STRANGE = '<img src=x onerror="window.hacked=1">';
const inScratch = (name) => join(SCRATCH, name);

// ---- the worker ----

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const {port} = server.address();
    server.close(() => done(port));
  });
});

function configure(name, {token, tls}, port) {
  const strange = STRANGE.replaceAll('"', '\\"');
  writeFileSync(inScratch('token'), 'sesame\n');
  writeFileSync(inScratch(name), `
broker: {uri: '${BROKER_URI}'}
plugins: ['${PLUGINS}/probe.so', '${PLUGINS}/crashing.so']
admin: {listen: '127.0.0.1:${port}'${token ? `, token_file: ${inScratch('token')}` : ''}${tls ? `, tls: {cert_file: ${CERTS}/server.pem, key_file: ${CERTS}/server.key}` : ''}}
state_dir: ${inScratch(`state-${name}`)}
spool: {path: ${inScratch(`spool-${name}.db`)}}
topology:
  queues: [{name: payments}, {name: refunds}, {name: mail}, {name: "${strange}"}]
subscriptions:
  - {queue: payments, handler: probe.record, concurrency: 4, options: {path: ${inScratch('payments')}, delay: 8ms, vary: true}}
  - {queue: refunds, handler: probe.record, options: {path: ${inScratch('refunds')}, outcome: reject}}
  - {queue: mail, handler: crashing.run, options: {path: ${inScratch('mail')}}}
  - {queue: "${strange}", handler: probe.record, options: {path: ${inScratch('strange')}}}
`);
}

async function start(name, options) {
  configure(name, options, await freePort());
  const child = spawn(WARREN, ['run', '-c', inScratch(name)], {stdio: ['ignore', 'ignore', 'pipe']});
  let log = '';
  child.stderr.on('data', (piece) => { log += piece; });
  const worker = {
    child,
    get log() { return log; },
    stop: async () => {
      child.kill();
      await until('the worker ends', () => child.exitCode !== null || child.signalCode);
    },
  };
  try {
    worker.url = `http${options.tls ? 's' : ''}://${await until('the listener', () => /address=([\d.:]+)/.exec(log)?.[1])}`;
    await until('consuming', async () => (await fetch(`${worker.url}/readyz`)).status === 200);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${error.message}\n${log}`);
  }
  return worker;
}

function warren(...words) {
  const {status, stderr} = spawnSync(WARREN, words, {encoding: 'utf8'});
  assert.equal(status, 0, stderr);
}

const publish = (queue, ...words) => warren('publish', '-u', BROKER_URI, '--queue', queue, ...words);

async function metric(worker, series) {
  const response = await fetch(`${worker.url}/metrics`, {headers: {Authorization: 'Bearer sesame'}});
  const line = (await response.text()).split('\n').find((one) => one.startsWith(`${series} `));
  return line ? Number(line.slice(series.length + 1)) : null;
}

const depth = (queue) => {
  const {stdout} = spawnSync(WARREN, ['dlq', 'list', '-u', BROKER_URI, '--json', queue], {encoding: 'utf8'});
  return JSON.parse(stdout).queues[0].depth;
};

const lines = (name) => {
  try {
    return readFileSync(inScratch(name), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};

// ---- what is tested ----

const shows = (page, css, part) => until(`${css} shows "${part}"`, async () => (await page.text(css) || '').includes(part));

/* The page has been drawn anew for @n more of them. */
async function snapshots(page, n) {
  const time = () => page.run('return Number(document.getElementById("about").dataset.time)');
  const first = await time();
  await until(`${n} snapshots`, async () => await time() >= first + n * 900);
}

const tests = {
  /* Nothing is shown before the token is given, and a wrong one is told. */
  async the_token_is_asked_for({page, worker}) {
    await page.open(`${worker.url}/`);
    await until('the form', async () => !await page.run('return document.getElementById("token").hidden'));
    assert.equal(await page.text('#main'), '');
    await page.type('#token-text', 'wrong');
    await page.click('#token button');
    await shows(page, '#token-why', 'not the right one');
    assert.equal(await page.text('#main'), '');
    await page.type('#token-text', `sesame${ENTER}`);
    await shows(page, '#subscriptions', 'payments');
    assert.equal(await page.run('return document.cookie'), '');
  },

  /* Each count on the page is that of /metrics. */
  async counts_are_those_of_metrics({page, worker}) {
    for (let i = 0; i < 3; i++)
      publish('payments', '--count', '10', '--body', `{"n": ${i}}`);
    await page.open(`${worker.url}/#/queue/payments/probe.record`);
    await shows(page, '[data-outcome=ack]', '30');
    const labels = 'queue="payments",handler="probe.record"';
    assert.equal(await metric(worker, `warren_messages_received_total{${labels}}`), Number(await page.text('[data-outcome=received]')));
    for (const outcome of ['ack', 'retry', 'reject', 'discard', 'requeue'])
      assert.equal(await metric(worker, `warren_messages_settled_total{${labels},outcome="${outcome}"}`) ?? 0,
        Number(await page.text(`[data-outcome=${outcome}]`)), outcome);
    assert.equal(lines('payments').length, 30);
  },

  /* A name of a queue that looks like markup is a text. */
  async names_are_no_markup({page, worker}) {
    publish(STRANGE, '--body', 'x');
    await page.open(`${worker.url}/#/`);
    await shows(page, '#subscriptions', STRANGE);
    await page.run('[...document.querySelectorAll("#subscriptions a")].find((a) => a.textContent.includes("onerror")).click()');
    await shows(page, '[data-outcome=ack]', '1');
    assert.equal(await page.run('return document.querySelectorAll("main img").length'), 0);
    assert.equal(await page.run('return window.hacked'), null);
  },

  /* From what is wrong to the error and the message: three clicks. */
  async the_cause_is_three_clicks_away({page, worker}) {
    publish('refunds', '--message-id', 'ref-1', '--body', '{"amount": 1}');
    await page.open(`${worker.url}/#/failures`);
    await shows(page, '#failures', 'the probe was told to answer reject');
    await page.open(`${worker.url}/#/`);
    await until('a problem', () => page.run('return !!document.querySelector(".problems a[href*=refunds]")'));
    await page.click('.problems a[href*="dead-letters/refunds"]');
    await shows(page, '#groups', 'the probe was told to answer reject');
    await page.click('#groups a');
    await shows(page, '#letters', 'ref-1');
    await page.click('#letters summary');
    assert.match(await page.text('#letters'), /"amount": 1/);
  },

  /* Whoever reloads is where he was, and need not give the token again. */
  async a_reload_keeps_the_place({page}) {
    const before = await page.url();
    await page.reload();
    await shows(page, '#letters', 'ref-1');
    assert.equal(await page.url(), before);
  },

  /* A replay brings the message back to its queue, where the worker handles it again. */
  async a_replay_brings_the_message_back({page}) {
    assert.equal(lines('refunds').length, 1);
    await page.click('#letters summary');
    await page.click('#letters button[data-do=replay]');
    await shows(page, '#said', '1 of 1 replayed: 1 to refunds');
    await until('it was handled', () => lines('refunds').length === 2);
    assert.match(lines('refunds')[1], /^ref-1\t/);
  },

  /* What is edited comes back in its new form; while it is edited the page goes on, and leaves it. */
  async an_edited_message_comes_back({page, worker}) {
    await page.open(`${worker.url}/#/dead-letters/refunds.dlq`);
    await shows(page, '#groups', '1 ×');
    await page.click('#groups a');
    await shows(page, '#letters', 'ref-1');
    await page.click('#letters summary');
    await page.click('#letters button[data-do=edit]');
    await page.run(`const field = document.getElementById('edited');
      field.value = field.value.replace('"{\\\\"amount\\\\": 1}"', '"mended!"');`);
    await snapshots(page, 2);
    assert.match(await page.run('return document.getElementById("edited").value'), /mended!/);
    await page.click('button[data-do=send]');
    await shows(page, '#said', '1 of 1 replayed');
    await until('it was handled', () => lines('refunds').length === 3);
    assert.equal(lines('refunds')[2].split('\t')[3], '7');
  },

  /* A crash executes the process anew: the page finds it again, and shows where it was. */
  async a_crash_is_found({page, worker}) {
    await page.open(`${worker.url}/#/`);
    await shows(page, '#worker', 'ready');
    publish('mail', '--message-id', 'mail-1', '--body', 'segv');
    await until('the dead letter', async () => depth('mail') === 1);
    await until('a problem', () => page.run('return !!document.querySelector(".problems a[href*=\\"mail.dlq\\"]")'));
    await page.click('.problems a[href*="mail.dlq"]');
    await shows(page, '#groups', 'SIGSEGV');
    await page.click('#groups a');
    await shows(page, '#letters', 'mail-1');
    await page.click('#letters summary');
    assert.match(await page.text('#letters'), /Calls.*crashing\.so/s);
  },

  /* Another page in the same browser changes nothing. */
  async another_page_changes_nothing({page, worker}) {
    const foreign = createServer((_, response) => response.end('<!doctype html><p>elsewhere'));
    await new Promise((done) => foreign.listen(0, '127.0.0.1', done));
    try {
      await page.open(`http://localhost:${foreign.address().port}/`);
      await page.run(`window.done = 0;
        const url = arguments[0];
        for (const options of [{mode: 'no-cors'}, {mode: 'no-cors', credentials: 'include'}, {headers: {Authorization: 'Bearer sesame'}}])
          fetch(url, {method: 'POST', ...options}).then((r) => r.type === 'opaque' || window.read, () => 0).finally(() => window.done++);
        fetch(url.replace(/discard.*/, 'groups?queue=refunds.dlq')).then(() => { window.read = 1; }, () => 0).finally(() => window.done++);`,
      `${worker.url}/api/dead-letters/discard?queue=refunds.dlq&all=yes`);
      await until('all are refused', async () => await page.run('return window.done') === 4);
      assert.equal(await page.run('return window.read'), null);
    } finally {
      foreign.close();
    }
    assert.equal(depth('refunds'), 1);
  },

  /* To discard is asked twice. */
  async discarding_is_asked_twice({page, worker}) {
    await page.open(`${worker.url}/#/dead-letters/refunds.dlq`);
    await shows(page, '#groups', '1 ×');
    await page.click('#groups button[data-do=sure]');
    await shows(page, '#groups', 'Yes: discard these 1 for good');
    assert.equal(depth('refunds'), 1);
    await page.click('#groups button[data-do=discard]');
    await shows(page, '#said', '1 discarded');
    await shows(page, '#no-letters', 'There are no dead letters');
    assert.equal(depth('refunds'), 0);
  },

  /* The keyboard reaches everything, and what has the focus keeps it when the page is drawn anew. */
  async the_keyboard_is_enough({page, worker}) {
    await page.open(`${worker.url}/#/`);
    await shows(page, '#subscriptions', 'payments');
    await page.run('document.activeElement.blur(); window.getSelection().removeAllRanges();');
    const focused = () => page.run('return document.activeElement.textContent');
    for (let i = 0; i < 20 && await focused() !== 'Failures'; i++)
      await page.press(TAB);
    assert.equal(await focused(), 'Failures');
    await page.press(ENTER);
    await shows(page, '#main h2', 'What failed lately');
    await page.press(TAB);
    assert.equal(await page.run('return document.activeElement.nodeName'), 'SUMMARY');
    await page.press(ENTER);
    await until('it is open', () => page.run('return document.querySelector("#failures details").open'));
    await snapshots(page, 1);
    assert.equal(await page.run('return document.activeElement.nodeName'), 'SUMMARY');
    assert.equal(await page.run('return document.querySelector("#failures details").open'), true);
  },

  /* On a phone nothing is wider than the screen. */
  async a_phone_is_wide_enough({page, worker}) {
    await page.resize(360, 740);
    for (const place of ['#/', '#/queue/payments/probe.record', '#/failures', '#/dead-letters']) {
      await page.open(`${worker.url}/${place}`);
      await shows(page, '#main', place === '#/failures' ? 'failed' : 'payments');
      assert.ok(await page.run('return document.documentElement.scrollWidth <= window.innerWidth'), place);
    }
    await page.resize(1200, 900);
  },

  /* A worker that goes away is told, and so is the one that comes. */
  async a_lost_worker_is_told({page, worker}) {
    await page.open(`${worker.url}/#/`);
    await shows(page, '#worker', 'ready');
    worker.child.kill('SIGSTOP');
    await shows(page, '#worker', 'no news');
    worker.child.kill('SIGCONT');
    await until('news', async () => (await page.text('#worker')) === '✓ ready');
  },

  /* The page writes nothing on its console, such as what its own policy forbids. */
  async the_console_is_empty({page, worker}) {
    assert.deepEqual((await page.faults()).filter((line) => line.startsWith(worker.url)), []);
  },

  /* Without a token the worker is seen, and nothing can be changed. */
  async without_a_token_it_is_read_only({page}) {
    const open = await start('open.yaml', {});
    try {
      await page.open(`${open.url}/#/`);
      await shows(page, '#subscriptions', 'payments');
      await page.open(`${open.url}/#/dead-letters/refunds.dlq`);
      await shows(page, '#main', 'admin.token_file');
      assert.equal(await page.run('return document.querySelectorAll("main button").length'), 0);
    } finally {
      await open.stop();
    }
  },

  /* By https it is the same page, with news. */
  async over_tls_it_is_the_same({page}) {
    const sealed = await start('sealed.yaml', {tls: true});
    try {
      await page.open(`${sealed.url}/#/`);
      await shows(page, '#subscriptions', 'payments');
      await shows(page, '#worker', 'ready');
      await snapshots(page, 2);
    } finally {
      await sealed.stop();
    }
  },
};

// ---- running them ----

const worker = await start('worker.yaml', {token: true});
const page = await browser();
let failed = 0;
try {
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test({page, worker});
      console.log(`ok      ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
} finally {
  await page.close();
  await worker.stop();
}
process.exit(failed ? 1 : 0);
