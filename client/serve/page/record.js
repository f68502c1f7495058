// Opens one record beside the list, says where it was found, counts its time in the cache down, and asks again at its end.

import { get, recordPath } from './api.js';
import { drawer } from './dialogs.js';
import { clock, countdown, duration } from './format.js';
import { announce, badge, button, copyButton, el, replace, setText } from './ui.js';
import { asProblem, errorState, loading } from './states.js';
import { piiSign, plainName, readableKey, valueNode } from './values.js';

const lookUpsMax = 6;

export function openRecord(view, schema, key, { onClose }) {
  const leaving = new AbortController();
  const panel = drawer({
    title: plainName(readableKey(key)),
    test: 'record',
    onClose: () => {
      leaving.abort();
      onClose();
    },
  });
  view.signal.addEventListener('abort', () => leaving.abort(), { signal: leaving.signal });
  const found = el('div', { class: 'found', test: 'found-in' });
  const ttl = el('div', { class: 'ttl', test: 'ttl' });
  const again = button('Look up again', { sign: 'turn', test: 'ask-again', onClick: () => ask() });
  const history = el('ol', { class: 'look-ups', 'aria-label': 'Look-ups, newest first', test: 'look-ups' });
  const fields = el('div', {});
  const top = el('div', { class: 'look-up' }, el('div', { class: 'look-up-line' }, found, again), ttl, history);
  const lookUps = [];
  let timer = null;
  let isAsking = false;
  let isDue = false;

  async function ask() {
    if (isAsking || leaving.signal.aborted) {
      return;
    }
    isAsking = true;
    isDue = false;
    clearInterval(timer);
    again.disabled = true;
    const began = performance.now();
    try {
      const answer = await get(recordPath(schema.table, key), { signal: leaving.signal });
      show(answer, performance.now() - began);
    } catch (error) {
      if (!leaving.signal.aborted) {
        panel.show(errorState(asProblem(error), ask, leaving.signal));
      }
    } finally {
      isAsking = false;
      again.disabled = false;
    }
  }

  function show(answer, milliseconds) {
    const fromCache = answer.found_in === 'cache';
    lookUps.unshift({ at: Date.now(), place: answer.found_in, milliseconds });
    lookUps.length = Math.min(lookUps.length, lookUpsMax);
    const sign = fromCache
      ? badge('accent', 'bolt', 'found in cache', 'found-badge')
      : badge('plain', 'disk', 'found in database', 'found-badge');
    sign.dataset.foundIn = answer.found_in;
    replace(found, sign);
    replace(
      history,
      lookUps.map((one) =>
        el(
          'li',
          { test: 'look-up', 'data-found-in': one.place },
          el('span', { class: 'mono' }, clock(one.at)),
          el('span', {}, one.place),
          el('span', { class: 'muted' }, `${one.milliseconds.toFixed(one.milliseconds < 10 ? 1 : 0)} ms`),
        ),
      ),
    );
    count(answer.ttl_seconds);
    replace(fields, recordTable(schema, answer.record));
    if (!top.isConnected) {
      panel.show(top, fields);
    }
    announce(
      `${fromCache ? 'Found in cache' : 'Found in database'}${answer.ttl_seconds ? `, ${duration(Math.ceil(answer.ttl_seconds))} left in the cache` : ''}`,
      true,
    );
  }

  // Counts the remaining seconds down; at the end the record is asked for again, once somebody looks.
  function count(seconds) {
    if (seconds === null || seconds === undefined) {
      const isCached = schema.cache_ttl_seconds !== null;
      const text = isCached
        ? 'It was not in the cache. This look-up puts it there: look up again.'
        : 'This table is not cached.';
      replace(ttl, el('p', { class: 'muted small' }, text));
      return;
    }
    const end = performance.now() + Number(seconds) * 1000;
    const whole = Math.max(Number(schema.cache_ttl_seconds ?? 0), Number(seconds), 1);
    const left = el('span', { class: 'ttl-left', test: 'ttl-left' });
    const bar = el('progress', { max: whole, value: seconds, 'aria-label': 'Time left in the cache' });
    replace(ttl, el('div', { class: 'ttl-line' }, el('span', { class: 'muted' }, 'leaves the cache in'), left), bar);
    const tick = () => {
      const rest = Math.max(0, (end - performance.now()) / 1000);
      setText(left, countdown(rest));
      bar.value = rest;
      if (rest <= 0) {
        clearInterval(timer);
        // Redis forgets an entry within its last second: a look-up at once could still meet it.
        isDue = true;
        setTimeout(due, 250);
      }
    };
    tick();
    timer = setInterval(tick, 250);
  }

  function due() {
    if (isDue && !document.hidden) {
      ask();
    }
  }

  document.addEventListener('visibilitychange', due, { signal: leaving.signal });
  leaving.signal.addEventListener('abort', () => clearInterval(timer));
  panel.show(loading(8));
  ask();
}

function recordTable(schema, record) {
  const known = schema.columns.filter((column) => Object.hasOwn(record, column.name));
  const others = Object.keys(record)
    .filter((name) => !schema.columns.some((column) => column.name === name))
    .map((name) => ({ name, type: '', pii: null }));
  const rows = [...known, ...others].map((column) =>
    el(
      'tr',
      { test: 'field', 'data-column': column.name },
      el(
        'th',
        { scope: 'row' },
        el('bdi', {}, plainName(column.name)),
        el('span', { class: 'column-type' }, column.pii ? piiSign(column.pii) : null, plainName(column.type)),
      ),
      el('td', {}, valueNode(record[column.name], column, { whole: true })),
    ),
  );
  return [
    el(
      'div',
      { class: 'sub-head' },
      el('h3', {}, 'Record'),
      copyButton(() => JSON.stringify(record, null, 2), 'Copy as JSON', 'copy-record'),
    ),
    el(
      'table',
      { class: 'pairs', test: 'record-fields' },
      el('caption', { class: 'unseen' }, 'Columns of the record and their values'),
      el('tbody', {}, rows),
    ),
  ];
}
