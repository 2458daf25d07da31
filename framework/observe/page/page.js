/* page.js - the page of a worker. It shows what /events sends each second, and what it asks for.
 * Everything that comes from the worker (names, errors, bodies) is text, never markup.
 */
'use strict';

const POINTS_MAX = 300; // seconds that are kept
const NUMBERS_MAX = 300000; // of all subscriptions, histograms included
const WINDOW = 10; // seconds that rates and quantiles are of
const SILENT_MS = 6000;
const TOKEN = 'warren-token';

const page = {
  now: null, // the latest snapshot, indexed
  points: [], // {time, subs: Map of key to totals}
  failures: null,
  failuresAt: 0,
  failuresOf: -1, // the number of failures when they were fetched
  lost: '', // why there is nothing new
  looks: new Map(), // what was seen of dead letters, by what was asked for; null: it is asked
  doing: '', // what is being done with dead letters; one at a time
  asked: '', // what is to be confirmed
  editing: '', // the id of the message that is edited
};

/* ---- making elements ---- */

const svgTags = new Set(['svg', 'polyline', 'title']);

/* el('td', {class: 'n'}, 'text', element, ...) */
function el(tag, attributes, ...children) {
  const node = svgTags.has(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? '' : value);
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false)
      node.append(child);
  return node;
}

/* Make @live what @fresh is, and touch only what differs: focus, selection and what is open stay. */
function morph(live, fresh) {
  if (live.nodeName !== fresh.nodeName || live.id !== fresh.id) {
    live.replaceWith(fresh);
    return;
  }
  if (live.nodeType === Node.TEXT_NODE) {
    if (live.data !== fresh.data)
      live.data = fresh.data;
    return;
  }
  for (const {name} of [...live.attributes])
    if (!fresh.hasAttribute(name) && name !== 'open')
      live.removeAttribute(name);
  for (const {name, value} of fresh.attributes)
    if (live.getAttribute(name) !== value && name !== 'open')
      live.setAttribute(name, value);
  if (live.nodeName === 'TEXTAREA')
    return; // what was written there stays
  const olds = [...live.childNodes];
  const news = [...fresh.childNodes];
  news.forEach((node, i) => i < olds.length ? morph(olds[i], node) : live.append(node));
  olds.slice(news.length).forEach((node) => node.remove());
}

/* ---- numbers and times as text ---- */

function count(n) {
  return n === null || n === undefined ? 'not known' : Math.round(n).toLocaleString('en');
}

function rate(n) {
  return n === null ? '–' : n >= 100 ? count(n) : n >= 10 ? n.toFixed(1) : n.toFixed(2).replace(/\.?0+$/, '');
}

function duration(us) {
  if (us === null)
    return '–';
  if (us < 1000)
    return `${Math.round(us)} µs`;
  return us < 1e6 ? `${(us / 1e3).toPrecision(3)} ms` : `${(us / 1e6).toPrecision(3)} s`;
}

function bytes(n) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024 || unit === 'GiB')
      return `${n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1024;
  }
  return '';
}

function span(seconds) {
  if (seconds < 120)
    return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200)
    return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

function ago(ms) {
  return `${span((page.now.time_ms - ms) / 1000)} ago`;
}

/* Control characters are shown, not acted on. */
function plain(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/* ---- snapshots ---- */

const keyOf = (queue, handler) => JSON.stringify([queue, handler]);

/* The metrics of each subscription by their names; what has a third label is an object. */
function index(snapshot) {
  snapshot.subs = new Map();
  for (const [name, family] of Object.entries(snapshot.families))
    if (family.labels[0] === 'queue' && family.labels[1] === 'handler')
      family.series.forEach((series) => take(snapshot.subs, name, series));
  return snapshot;
}

function take(subs, name, [labels, value, counts]) {
  const key = keyOf(labels[0], labels[1]);
  if (!subs.has(key))
    subs.set(key, Object.create(null));
  const sub = subs.get(key);
  if (labels.length > 2) {
    sub[name] = sub[name] || Object.create(null);
    sub[name][labels[2]] = value;
  } else {
    sub[name] = counts ? {sum: value, counts} : value;
  }
}

/* A value that is not of a subscription: that of the series with these labels; null: there is none. */
function value(name, ...labels) {
  const family = page.now.families[name];
  const found = family && family.series.find(([values]) => labels.every((label, i) => values[i] === label));
  return found ? found[1] : null;
}

function sumOf(object) {
  return Object.values(object || {}).reduce((all, one) => all + one, 0);
}

function totals(sub) {
  const handler = sub.warren_handler_duration_seconds || {sum: 0, counts: []};
  return {
    settled: sumOf(sub.warren_messages_settled_total),
    failed: sumOf(sub.warren_job_failures_total),
    flight: sumOf(sub.warren_messages_in_flight),
    handler,
    wait: sub.warren_queue_wait_seconds || {sum: 0, counts: []},
  };
}

function remember(snapshot) {
  const last = page.points[page.points.length - 1];
  const again = last && [...last.subs].some(([key, before]) =>
    snapshot.subs.has(key) && totals(snapshot.subs.get(key)).settled < before.settled);
  if (again || (last && (snapshot.pid !== page.now.pid || snapshot.time_ms < last.time)))
    page.points = []; // the worker was started anew, and counts from 0
  const subs = new Map();
  for (const [key, sub] of snapshot.subs)
    subs.set(key, totals(sub));
  page.points.push({time: snapshot.time_ms, subs});
  const most = Math.max(2 * WINDOW, Math.min(POINTS_MAX, NUMBERS_MAX / (40 * Math.max(1, subs.size))));
  while (page.points.length > most)
    page.points.shift();
}

/* ---- rates and quantiles of two points ---- */

function pair(key, at) {
  const now = page.points[at];
  const before = page.points[Math.max(0, at - WINDOW)];
  if (!now || !before || now === before || !now.subs.has(key) || !before.subs.has(key))
    return null;
  return {now: now.subs.get(key), before: before.subs.get(key), seconds: (now.time - before.time) / 1000};
}

function rateAt(key, at, name) {
  const p = pair(key, at);
  return p && p.seconds > 0 ? (p.now[name] - p.before[name]) / p.seconds : null;
}

/* In us; in a bucket all values are taken to be spread evenly. null: nothing was counted. */
function quantileAt(key, at, share, name = 'handler') {
  const p = pair(key, at);
  const family = page.now.families[name === 'wait' ? 'warren_queue_wait_seconds' : 'warren_handler_duration_seconds'];
  if (!p || !family)
    return null;
  const counts = p.now[name].counts.map((n, i) => n - (p.before[name].counts[i] || 0));
  const all = counts.reduce((sum, n) => sum + n, 0);
  let below = 0;
  let from = 0;
  for (let i = 0; all > 0 && i < counts.length; i++) {
    const to = family.bounds_us[i];
    if (below + counts[i] >= share * all && counts[i] > 0)
      return to === undefined ? from : from + (to - from) * (share * all - below) / counts[i];
    below += counts[i];
    from = to;
  }
  return null;
}

function busyAt(key, at, workers) {
  const p = pair(key, at);
  return p && p.seconds > 0 && workers > 0
    ? Math.min(1, (p.now.handler.sum - p.before.handler.sum) / 1e6 / p.seconds / workers) : null;
}

const latest = () => page.points.length - 1;

/* ---- charts ---- */

function lineOf(values, top, mark) {
  const step = 100 / Math.max(1, values.length - 1);
  const points = values
    .map((v, i) => v === null ? null : `${(i * step).toFixed(2)},${(38 - 36 * v / top).toFixed(2)}`)
    .filter((point) => point);
  return el('polyline', {class: `line ${mark}`, points: points.join(' ')});
}

const marks = ['', 'two', 'three'];

function drawing(lines, label) {
  const top = Math.max(1e-9, ...lines.flatMap((line) => line.values.map((v) => v || 0)));
  return el('svg', {viewBox: '0 0 100 40', preserveAspectRatio: 'none', role: 'img', 'aria-label': label},
    lines.map((line, i) => lineOf(line.values, top, marks[i])));
}

/* @lines: {name, values}; @text makes a text of a value. The caption says what the lines say. */
function chart(title, lines, text) {
  const last = (values) => values.length ? values[values.length - 1] : null;
  const top = Math.max(0, ...lines.flatMap((line) => line.values.map((v) => v || 0)));
  const said = lines.map((line) => `${line.name} ${text(last(line.values))}`);
  const length = page.points.length ? (page.points[latest()].time - page.points[0].time) / 1000 : 0;
  return el('figure', {},
    el('h3', {}, title),
    drawing(lines, `${title}, the last ${span(length)}: now ${said.join(', ')}; at most ${text(top)}`),
    el('figcaption', {},
      lines.map((line, i) => el('span', {}, el('i', {class: `key ${marks[i]}`}), said[i])),
      el('span', {}, `top ${text(top)}, the last ${span(length)}`)));
}

function series(key, one) {
  return page.points.map((_, at) => one(key, at));
}

/* ---- what is wrong ---- */

const hashOf = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;

function problem(text, ...parts) {
  return el('li', {}, el('a', {href: hashOf(...parts)}, plain(text)));
}

function breakerOf(sub) {
  const states = (sub && sub.warren_breaker_state) || {};
  return Object.keys(states).find((state) => states[state] === 1) || '';
}

function subscriptionProblems(seen) {
  const sub = page.now.subs.get(keyOf(seen.queue, seen.handler));
  const failing = rateAt(keyOf(seen.queue, seen.handler), latest(), 'failed');
  return [
    !seen.ready && problem(`${seen.queue}: ${seen.state}${seen.reason ? `: ${seen.reason}` : ''}`, 'queue', seen.queue, seen.handler),
    breakerOf(sub) === 'open' && problem(`${seen.queue}: the breaker is open`, 'queue', seen.queue, seen.handler),
    failing > 0 && problem(`${seen.queue}: ${rate(failing)} failures a second`, 'failures'),
  ];
}

function publisherProblems(name) {
  return [
    value('warren_publisher_connected', name) === 0 && problem(`${name}: no connection to the broker`, ''),
    value('warren_publisher_blocked', name) === 1 && problem(`${name}: the broker takes no messages (blocked)`, ''),
    value('warren_spool_messages', name, 'refused') > 0 && problem(`${name}: the broker refused ${count(value('warren_spool_messages', name, 'refused'))} messages of the spool`, ''),
  ];
}

function deadDepths() {
  const queues = new Map();
  for (const {queue, dead_queue} of page.now.dead_letters) {
    if (!queues.has(dead_queue))
      queues.set(dead_queue, {name: dead_queue, sources: [], depth: value('warren_queue_messages', dead_queue),
        waiting: value('warren_queue_waiting_seconds', dead_queue)});
    queues.get(dead_queue).sources.push(queue);
  }
  return [...queues.values()];
}

function problems() {
  const [live, ready] = page.now.health;
  const found = [
    live.reasons.map((reason) => problem(reason, '')),
    ready.status !== 'ready' && ready.subscriptions.every((seen) => seen.ready) && problem(ready.reason || 'not ready', ''),
    ready.subscriptions.map(subscriptionProblems),
    publishers().map(publisherProblems),
    value('warren_suspects') > 0 && problem(`${count(value('warren_suspects'))} messages may have ended the process: each runs alone`, 'failures'),
    deadDepths().filter((queue) => queue.depth > 0).map((queue) =>
      problem(`${queue.name}: ${count(queue.depth)} dead letters${queue.waiting > 0 ? `, for ${span(queue.waiting)}` : ''}`, 'dead-letters', queue.name)),
  ].flat(Infinity).filter((item) => item);
  return found.length
    ? el('ul', {class: 'problems', 'aria-label': 'What is wrong'}, found)
    : el('p', {class: 'well'}, 'Nothing is wrong: everything consumes, nothing fails, no dead letters.');
}

/* ---- the overview ---- */

const cell = (name, text, kind) => el('td', {'data-name': name, class: kind}, text);

function subscriptionRow(seen) {
  const key = keyOf(seen.queue, seen.handler);
  const sub = page.now.subs.get(key) || {};
  const at = latest();
  const busy = busyAt(key, at, sub.warren_workers);
  const failed = rateAt(key, at, 'failed');
  return el('tr', {},
    cell('queue', el('a', {href: hashOf('queue', seen.queue, seen.handler)}, plain(seen.queue))),
    cell('handler', plain(seen.handler)),
    cell('state', el('span', {class: seen.ready ? 'good' : 'bad'}, `${seen.ready ? '✓' : '✗'} ${seen.state}`)),
    cell('a second', rate(rateAt(key, at, 'settled')), 'n'),
    cell('last minutes', drawing([{values: series(key, (k, i) => rateAt(k, i, 'settled'))}], 'settled a second')),
    cell('failures a second', el('span', {class: failed > 0 ? 'bad' : ''}, rate(failed)), 'n'),
    cell('median', duration(quantileAt(key, at, 0.5)), 'n'),
    cell('99 %', duration(quantileAt(key, at, 0.99)), 'n'),
    cell('busy', busy === null ? '–' : `${Math.round(busy * 100)} %`, 'n'),
    cell('in flight', `${seen.running + seen.queued + seen.held} of ${seen.prefetch}`, 'n'),
    cell('in the queue', count(seen.messages), 'n'));
}

function heads(...names) {
  return el('thead', {}, el('tr', {}, names.map((name) => el('th', {scope: 'col', class: name.startsWith('#') ? 'n' : ''}, name.replace('#', '')))));
}

function publishers() {
  const family = page.now.families.warren_window_messages;
  return family ? family.series.map(([labels]) => labels[0]) : [];
}

const fact = (name, text, bad) => el('div', {}, el('dt', {}, name), el('dd', {class: bad ? 'bad' : ''}, text));

function filled(name, now, most, text) {
  return el('div', {}, el('dt', {}, name),
    el('dd', {}, `${text(now || 0)} of ${text(most || 0)}`,
      el('meter', {min: 0, max: most || 1, high: (most || 1) * 0.9, value: now || 0, 'aria-label': name})));
}

function publisherFacts(name) {
  const spooled = value('warren_spool_max_bytes', name);
  const up = value('warren_publisher_connected', name) === 1;
  const blocked = value('warren_publisher_blocked', name) === 1;
  return el('section', {},
    el('h2', {}, `Publishing: ${plain(name)}`),
    el('dl', {},
      fact('connection', blocked ? '✗ blocked by the broker' : up ? '✓ open' : '✗ none', blocked || !up),
      fact('lost connections', count(value('warren_publisher_losses_total', name))),
      fact('confirmed', count(value('warren_published_messages_total', name, 'confirmed') || 0)),
      filled('window, messages', value('warren_window_messages', name), value('warren_window_max_messages', name), count),
      filled('window, bytes', value('warren_window_bytes', name), value('warren_window_max_bytes', name), bytes),
      spooled ? [
        filled('spool', value('warren_spool_bytes', name), spooled, bytes),
        fact('in the spool', `${count(value('warren_spool_messages', name, 'waiting') || 0)} waiting, ${count(value('warren_spool_messages', name, 'refused') || 0)} refused`),
        fact('oldest of them', span(value('warren_spool_oldest_seconds', name) || 0)),
      ] : fact('spool', 'none')));
}

function processFacts() {
  const now = page.now;
  const up = value('warren_consumer_connected') === 1;
  const most = value('warren_deliveries_max_bytes');
  return el('section', {},
    el('h2', {}, 'The process'),
    el('dl', {},
      fact('consuming connection', up ? '✓ open' : '✗ none', !up),
      fact('lost connections', count(value('warren_consumer_losses_total') || 0)),
      most ? filled('unsettled bytes', value('warren_deliveries_bytes'), most, bytes) : fact('unsettled bytes', bytes(value('warren_deliveries_bytes') || 0)),
      fact('memory', bytes(value('process_resident_memory_bytes') || 0)),
      fact('CPU time', span(value('process_cpu_seconds_total') || 0)),
      fact('threads', count(value('process_threads'))),
      filled('descriptors', value('process_open_fds'), value('process_max_fds'), count),
      fact('running for', span(now.time_ms / 1000 - (value('process_start_time_seconds') || 0))),
      fact('restarts after a crash', count(value('warren_process_restarts_total') || 0)),
      fact('suspects', count(value('warren_suspects') || 0)),
      fact('lost lines of the log', count(value('warren_log_lines_dropped_total') || 0))));
}

function overview() {
  return [
    problems(),
    el('h2', {}, 'Subscriptions'),
    el('div', {class: 'wide'}, el('table', {id: 'subscriptions'},
      heads('queue', 'handler', 'state', '#a second', 'last minutes', '#failures a second', '#median', '#99 %', '#busy', '#in flight', '#in the queue'),
      el('tbody', {}, page.now.health[1].subscriptions.map(subscriptionRow)))),
    publishers().map(publisherFacts),
    processFacts(),
  ];
}

/* ---- one subscription ---- */

function outcomeFacts(sub) {
  const settled = sub.warren_messages_settled_total || {};
  const outcome = (name) => el('div', {}, el('dt', {}, name), el('dd', {'data-outcome': name}, count(settled[name] || 0)));
  return el('dl', {id: 'outcomes'},
    el('div', {}, el('dt', {}, 'received'), el('dd', {'data-outcome': 'received'}, count(sub.warren_messages_received_total || 0))),
    ['ack', 'retry', 'reject', 'discard', 'requeue'].map(outcome),
    fact('retries', count(sumOf(sub.warren_retries_scheduled_total))),
    fact('dead letters', count(sumOf(sub.warren_dead_letters_total))),
    fact('duplicates', count(sub.warren_duplicates_total || 0)));
}

function stateFacts(seen, sub) {
  const breaker = breakerOf(sub);
  const at = latest();
  const busy = busyAt(keyOf(seen.queue, seen.handler), at, sub.warren_workers);
  return el('dl', {},
    fact('state', `${seen.ready ? '✓' : '✗'} ${seen.state}`, !seen.ready),
    seen.reason && fact('because', plain(seen.reason), !seen.ready),
    fact('breaker', breaker || 'none', breaker === 'open'),
    fact('running', count(seen.running)),
    fact('waiting for a thread', count(seen.queued)),
    fact('held (retry, rate limit)', count(seen.held)),
    filled('in flight', seen.running + seen.queued + seen.held, seen.prefetch, count),
    filled('busy threads', (busy || 0) * (sub.warren_workers || 0), sub.warren_workers, (n) => rate(n)),
    sub.warren_pool_max_threads && fact('threads',
      `${count(sub.warren_workers)}, at least ${count(sub.warren_pool_min_threads)}, at most ${count(sub.warren_pool_max_threads)}`),
    fact('in the queue', count(seen.messages)),
    fact('its consumers', count(seen.consumers)));
}

function failureReasons(sub) {
  const reasons = Object.entries(sub.warren_job_failures_total || {});
  return reasons.length > 0 && el('dl', {}, reasons.map(([reason, n]) => fact(reason, count(n))));
}

function subscription(queue, handler) {
  const seen = page.now.health[1].subscriptions.find((one) => one.queue === queue && one.handler === handler);
  const key = keyOf(queue, handler);
  const sub = page.now.subs.get(key) || {};
  if (!seen)
    return el('p', {}, `This worker has no subscription of ${plain(queue)} with ${plain(handler)}.`);
  return [
    el('h2', {}, `${plain(queue)} → ${plain(handler)}`),
    stateFacts(seen, sub),
    el('div', {class: 'charts'},
      chart('Messages a second', [
        {name: 'settled', values: series(key, (k, i) => rateAt(k, i, 'settled'))},
        {name: 'failed', values: series(key, (k, i) => rateAt(k, i, 'failed'))}], rate),
      chart('Handler time', [
        {name: 'median', values: series(key, (k, i) => quantileAt(k, i, 0.5))},
        {name: '99 %', values: series(key, (k, i) => quantileAt(k, i, 0.99))}], duration),
      chart('Waiting for a thread', [
        {name: 'median', values: series(key, (k, i) => quantileAt(k, i, 0.5, 'wait'))},
        {name: '99 %', values: series(key, (k, i) => quantileAt(k, i, 0.99, 'wait'))}], duration),
      chart('In flight', [
        {name: 'messages', values: page.points.map((p) => p.subs.has(key) ? p.subs.get(key).flight : null)}], count)),
    el('h2', {}, 'Outcomes since the start'),
    outcomeFacts(sub),
    sumOf(sub.warren_job_failures_total) > 0 && [el('h2', {}, 'Failures by reason'), failureReasons(sub)],
    el('h2', {}, 'What failed lately'),
    failureList((group) => group.queue === queue && group.handler === handler),
  ];
}

/* ---- failures ---- */

function failure(group) {
  const dead = page.now.dead_letters.find((one) => one.queue === group.queue);
  return el('details', {id: `failure-${group.id}`},
    el('summary', {},
      el('strong', {}, `${count(group.count)} × `), el('span', {class: 'bad'}, plain(group.signal || group.reason)),
      ` ${plain(group.error.split('\n')[0] || 'without an error text')} `,
      el('span', {class: 'dim'}, `${plain(group.queue)}, ${plain(group.handler)}, ${ago(group.last_ms)}`)),
    el('dl', {},
      fact('reason', plain(group.reason)), group.signal && fact('signal', plain(group.signal)),
      fact('first', ago(group.first_ms)), fact('last', ago(group.last_ms)),
      fact('attempt of the last', count(group.attempt)),
      fact('its message', group.message_id ? plain(group.message_id) : 'without an id')),
    el('h3', {}, 'Error'), el('pre', {}, plain(group.error) || '(none)'),
    group.backtrace && [el('h3', {}, 'Calls'), el('pre', {}, plain(group.backtrace))],
    dead && el('p', {}, el('a', {href: hashOf('dead-letters', dead.dead_queue)}, `Dead letters of ${plain(group.queue)}`)));
}

function failureList(wanted) {
  if (!page.failures)
    return el('p', {class: 'dim'}, 'asking');
  const groups = page.failures.groups.filter(wanted);
  return groups.length ? el('div', {id: 'failures'}, groups.map(failure)) : el('p', {}, 'Nothing has failed since the start.');
}

function failuresView() {
  return [
    el('h2', {}, 'What failed lately'),
    el('p', {class: 'dim'}, 'Failures that differ only in numbers are one, the latest first.'),
    failureList(() => true),
    page.failures && page.failures.forgotten > 0 && el('p', {class: 'dim'}, `${count(page.failures.forgotten)} older groups were forgotten.`),
  ];
}

/* ---- dead letters: looking ---- */

/* Numbers that JavaScript would write in another way, such as 1.0 or those of 64 bits, are kept as
 * they are: texts behind a NUL, which no text of a dump has. */
function parseExact(text) {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (found) => found[0] !== '"' && (/[.eE]/.test(found) || found.length > 15) ? `"\\u0000${found}"` : found));
}

function writeExact(object) {
  return JSON.stringify(object, null, 2).replace(/"\\u0000([-\d.eE+]+)"/g, '$1');
}

const queryOf = (parameters) => new URLSearchParams(parameters).toString();

/* The answer of `warren dlq`; what it said goes to who asked. */
async function dlq(action, parameters, options = {}) {
  const path = `api/dead-letters/${action}?${queryOf(parameters)}`;
  const response = await fetchKnown(path, options);
  const text = await response.text();
  let answer;
  try {
    answer = parseExact(text);
  } catch {
    throw new Error(`status ${response.status}`);
  }
  if (!response.ok)
    throw new Error(answer.error || answer.said || `warren dlq ended with status ${answer.exit}`);
  return answer;
}

/* What was seen when this was asked for last; it is asked for the first time. */
function look(action, parameters) {
  const key = `${action}?${queryOf(parameters)}`;
  if (!page.looks.has(key) && !page.doing) {
    page.looks.set(key, null);
    page.doing = 'looking';
    dlq(action, parameters)
      .then((answer) => page.looks.set(key, answer), (error) => page.looks.set(key, {failed: error.message}))
      .finally(() => {
        page.doing = '';
        draw();
      });
  }
  return page.looks.get(key) || null;
}

function seenOr(look, show) {
  if (!look)
    return el('p', {class: 'dim', role: 'status'}, 'looking');
  return look.failed ? el('p', {class: 'bad', role: 'alert'}, plain(look.failed)) : show(look);
}

const when = (text) => text ? ago(Date.parse(text)) : 'not known';

/* ---- dead letters: buttons ---- */

function button(text, action, parameters, kind) {
  return el('button', {type: 'button', class: kind, disabled: !!page.doing, 'data-do': action, 'data-with': JSON.stringify(parameters)}, text);
}

/* What cannot be undone is asked twice. */
function discardButton(text, parameters) {
  return page.asked === JSON.stringify(parameters)
    ? [button(`Yes: ${text.toLowerCase()} for good`, 'discard', parameters, 'away'), button('No', 'forget', {})]
    : button(text, 'sure', parameters, 'away');
}

function say(text) {
  document.getElementById('said').textContent = text;
}

function replayed(result) {
  const targets = Object.entries(result.targets || {}).map(([queue, n]) => `${n} to ${plain(queue)}`).join(', ');
  return `${count(result.replayed)} of ${count(result.matched)} replayed${targets ? `: ${targets}` : ''}`;
}

const told = {
  replay: replayed,
  edit: replayed,
  discard: (result) => `${count(result.discarded)} discarded`,
};

/* Replay, edit or discard, and look anew. */
async function change(action, parameters, body) {
  page.doing = action;
  page.asked = '';
  say('');
  draw();
  try {
    const {result, said} = await dlq(action, parameters, {method: 'POST', body});
    say(result ? told[action](result) : plain(said));
    page.editing = '';
  } catch (error) {
    say(`✗ ${plain(error.message)}`);
  }
  page.doing = '';
  page.looks.clear();
  draw();
}

const acts = {
  replay: (parameters) => change('replay', parameters),
  discard: (parameters) => change('discard', parameters),
  sure: (parameters) => { page.asked = JSON.stringify(parameters); },
  forget: () => { page.asked = page.editing = ''; },
  again: () => page.looks.clear(),
  edit: ({id}) => { page.editing = id; },
  send: (parameters) => change('edit', parameters, document.getElementById('edited').value),
};

/* ---- dead letters: views ---- */

function deadQueues() {
  const queues = deadDepths();
  if (queues.length === 0)
    return [el('h2', {}, 'Dead letters'), el('p', {}, 'No subscription has a dead-letter queue.')];
  return [
    el('h2', {}, 'Dead letters'),
    el('div', {class: 'wide'}, el('table', {id: 'dead-letters'},
      heads('queue', 'of', '#messages'),
      el('tbody', {}, queues.map((queue) => el('tr', {},
        cell('queue', el('a', {href: hashOf('dead-letters', queue.name)}, plain(queue.name))),
        cell('of', plain(queue.sources.join(', '))),
        cell('messages', el('span', {class: queue.depth > 0 ? 'bad' : ''}, count(queue.depth)), 'n')))))),
  ];
}

function groupRow(queue, group) {
  const which = {queue, group: group.group};
  return el('li', {},
    el('p', {}, el('a', {href: hashOf('dead-letters', queue, group.group)},
      `${count(group.count)} × ${plain(group.signal || group.reason || 'no reason')}`),
    ` ${plain(group.error)} `,
    el('span', {class: 'dim'}, `${plain(group.handler)}, oldest ${when(group.oldest)}, newest ${when(group.newest)}`)),
    el('div', {class: 'row'},
      button(`Replay these ${count(group.count)}`, 'replay', which),
      discardButton(`Discard these ${count(group.count)}`, which)));
}

function deadQueue(queue) {
  return [
    el('p', {}, el('a', {href: '#/dead-letters'}, 'All dead-letter queues')),
    el('h2', {}, plain(queue)),
    seenOr(look('groups', {queue}), ({result, said}) => {
      const [seen] = result.queues;
      if (!seen || seen.depth === 0)
        return el('p', {id: 'no-letters'}, 'There are no dead letters.');
      return [
        el('p', {}, `${count(seen.depth)} messages, the oldest ${when(seen.oldest)}`,
          seen.looked_at < seen.depth && `; the first ${count(seen.looked_at)} of them:`),
        said && el('p', {class: 'dim'}, plain(said)),
        el('ul', {id: 'groups'}, seen.groups.map((group) => groupRow(queue, group))),
        el('div', {class: 'row'},
          button('Replay all', 'replay', {queue, all: 'yes'}),
          discardButton('Discard all', {queue, all: 'yes'})),
      ];
    }),
    el('div', {class: 'row'}, button('Look again', 'again', {}),
      el('span', {class: 'dim'}, 'Who looks holds the messages for a moment, and gives them back.')),
  ];
}

function bodyOf(message) {
  return message.body !== undefined
    ? [el('h3', {}, 'Body'), el('pre', {}, plain(message.body))]
    : [el('h3', {}, 'Body, as base64'), el('pre', {}, message.body_base64 || '')];
}

function editor(queue, letter) {
  const dump = {warren_dump: 1, queue: letter.queue || queue, ...letter.message};
  return [
    el('label', {for: 'edited'}, 'The message as a dump file. What stands here is replayed in its place.'),
    el('textarea', {id: 'edited', spellcheck: 'false'}, writeExact(dump)),
    el('div', {class: 'row'}, button('Replay it in this form', 'send', {queue, id: letter.message_id}), button('Leave it', 'forget', {})),
  ];
}

function letterRow(queue, letter) {
  const id = letter.message_id;
  const which = {queue, id};
  return el('details', {id: `letter-${id}`},
    el('summary', {}, el('strong', {}, plain(id || 'without an id')), ' ',
      el('span', {class: 'bad'}, plain(letter.signal || letter.reason || '')), ` died ${when(letter.died)}`),
    el('dl', {},
      fact('of the queue', plain(letter.queue || 'not known')), fact('handler', plain(letter.handler || 'not known')),
      fact('reason', plain(letter.reason || 'not known')), fact('attempts', count(letter.attempts)),
      fact('replays', count(letter.replays)), fact('first failed', when(letter.first_failure)),
      fact('host', plain(letter.host || 'not known'))),
    letter.error && [el('h3', {}, 'Error'), el('pre', {}, plain(letter.error))],
    letter.backtrace && [el('h3', {}, 'Calls'), el('pre', {}, plain(letter.backtrace))],
    bodyOf(letter.message),
    el('details', {}, el('summary', {}, 'Properties and headers'),
      el('pre', {}, plain(writeExact({properties: letter.message.properties, headers: letter.message.headers})))),
    !id ? el('p', {class: 'dim'}, 'Without an id it can be replayed and discarded with its group alone.')
      : page.editing === id ? editor(queue, letter)
        : el('div', {class: 'row'},
          button('Replay', 'replay', which), button('Edit', 'edit', which), discardButton('Discard', which)));
}

function deadGroup(queue, group) {
  return [
    el('p', {}, el('a', {href: hashOf('dead-letters', queue)}, plain(queue))),
    el('h2', {}, `Messages of one cause (${plain(group)})`),
    seenOr(look('messages', {queue, group, max: 50}), ({result}) => result.length === 0
      ? el('p', {id: 'no-letters'}, 'There are none.')
      : [result.length === 50 && el('p', {class: 'dim'}, 'The first 50:'),
        el('div', {id: 'letters'}, result.map((letter) => letterRow(queue, letter)))]),
    el('div', {class: 'row'}, button('Look again', 'again', {})),
  ];
}

function deadLettersView(queue, group) {
  if (!queue)
    return deadQueues();
  if (!page.now.may_change)
    return [el('h2', {}, plain(queue)), el('p', {}, 'To look at dead letters here, and to bring them back, this worker needs ',
      el('code', {}, 'admin.token_file'), '. Without it ', el('code', {}, 'warren dlq'), ' does the same.')];
  return group ? deadGroup(queue, group) : deadQueue(queue);
}

/* ---- drawing ---- */

function place() {
  return location.hash.replace(/^#\/?/, '').split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

function content() {
  const [view, first, second] = place();
  if (view === 'queue')
    return subscription(first, second);
  if (view === 'failures')
    return failuresView();
  return view === 'dead-letters' ? deadLettersView(first, second) : overview();
}

function draw() {
  const main = document.getElementById('main');
  const [view] = place();
  for (const link of document.querySelectorAll('nav a'))
    if (link.dataset.view === (view === 'queue' ? '' : view))
      link.setAttribute('aria-current', 'page');
    else
      link.removeAttribute('aria-current');
  document.getElementById('forget').hidden = !sessionStorage.getItem(TOKEN);
  if (!page.now)
    return;
  const ready = page.now.health[1].status === 'ready';
  const state = page.lost ? `✗ no news: ${page.lost}` : `${ready ? '✓ ' : '✗ not ready, '}${page.now.phase}`;
  const status = document.getElementById('worker');
  if (status.textContent !== state)
    status.textContent = state;
  status.className = page.lost || !ready ? 'bad' : 'good';
  document.title = `${page.lost || !ready ? '✗' : '✓'} ${location.host} warren`;
  document.getElementById('about').dataset.time = page.now.time_ms;
  document.getElementById('about').textContent = `warren ${page.now.version}, process ${page.now.pid}`;
  morph(main, el('main', {id: 'main', tabindex: -1}, content()));
}

/* ---- asking ---- */

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? {Authorization: `Bearer ${token}`} : {};
}

async function whyNot(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `status ${response.status}`;
  }
}

/* Until somebody has given one; who asks meanwhile waits for the same. */
function askToken(why) {
  asking = asking || askTokenOnce(why).finally(() => { asking = null; });
  return asking;
}

let asking = null;

function askTokenOnce(why) {
  const form = document.getElementById('token');
  const field = document.getElementById('token-text');
  document.getElementById('token-why').textContent = why;
  form.hidden = false;
  document.getElementById('worker').textContent = 'the token is needed';
  field.focus();
  return new Promise((done) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, field.value.trim());
      field.value = '';
      form.hidden = true;
      done();
    };
  });
}

/* The answer, once the worker knows who asks. */
async function fetchKnown(path, options) {
  for (;;) {
    const had = sessionStorage.getItem(TOKEN);
    const response = await fetch(path, {...options, headers: headers(), cache: 'no-store', credentials: 'omit'});
    if (response.status !== 401)
      return response;
    if (had && sessionStorage.getItem(TOKEN) === had)
      sessionStorage.removeItem(TOKEN);
    if (!sessionStorage.getItem(TOKEN))
      await askToken(had ? 'That token is not the right one.' : '');
  }
}

async function ask(path, options = {}) {
  const response = await fetchKnown(path, options);
  if (!response.ok)
    throw new Error(await whyNot(response));
  return response;
}

async function fetchFailures() {
  const total = [...page.now.subs.values()].reduce((all, sub) => all + sumOf(sub.warren_job_failures_total), 0);
  if (total === page.failuresOf || Date.now() - page.failuresAt < 1000)
    return;
  page.failuresAt = Date.now();
  try {
    page.failures = await (await ask('api/failures')).json();
    page.failuresOf = total;
  } catch {
    return; // with the next snapshot
  }
  draw();
}

function onEvent(text) {
  const snapshot = JSON.parse(text);
  if (snapshot.error)
    throw new Error(snapshot.error);
  index(snapshot);
  remember(snapshot);
  page.now = snapshot;
  page.lost = '';
  draw();
  fetchFailures();
}

/* Server-sent events, but by fetch(): EventSource cannot send the token. */
async function watchOnce() {
  const abort = new AbortController();
  const reader = (await ask('events', {signal: abort.signal})).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let timer = 0;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(new Error('the worker says nothing')), SILENT_MS);
      const {done, value: piece} = await reader.read();
      if (done)
        throw new Error('the worker has closed the connection');
      const events = (rest + piece).split('\n\n');
      rest = events.pop();
      if (events.length)
        onEvent(events[events.length - 1].replace(/^data: /, ''));
    }
  } finally {
    clearTimeout(timer);
  }
}

async function watch() {
  for (;;) {
    try {
      await watchOnce();
    } catch (error) {
      page.lost = error instanceof TypeError ? 'the worker does not answer' : error.message;
      document.getElementById('worker').textContent = `✗ ${page.lost}`;
      draw();
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/* ---- beginning ---- */

window.addEventListener('hashchange', () => {
  page.asked = page.editing = '';
  say('');
  draw();
  window.scrollTo(0, 0);
  document.getElementById('main').focus({preventScroll: true});
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault(); // the place is in the hash
  document.getElementById('main').focus();
});
document.addEventListener('click', (event) => {
  const clicked = event.target.closest('button[data-do]');
  if (!clicked)
    return;
  acts[clicked.dataset.do](JSON.parse(clicked.dataset.with));
  draw();
});
document.getElementById('forget').addEventListener('click', () => {
  sessionStorage.removeItem(TOKEN);
  location.reload();
});
draw();
watch();
