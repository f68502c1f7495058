// Shows one value of a record: what it is, not what it could pretend to be.
//
// Pseudonyms come shortened with a lock; characters that hide or turn text are written out.

import { Exact } from './api.js';
import { escaped, hiddenInNames, hiddenInText, writtenOut } from './format.js';
import { icon } from './icons.js';
import { copyButton, el, unseen } from './ui.js';

const cellCharactersMax = 120;
const wholeCharactersMax = 20000;

export const piiWords = {
  hash: { short: 'hash', long: 'keyed hash (HMAC-SHA-256): equal values have equal pseudonyms' },
  salted: { short: 'salted', long: 'salted hash: equal values have different pseudonyms' },
  mask: { short: 'mask', long: 'masked: only the end of the value is kept' },
};

// The sign of a column that holds personal data in disguise.
export function piiSign(pii, test = 'pii-sign') {
  const words = piiWords[pii] ?? { short: pii, long: 'pseudonym' };
  return el(
    'span',
    { class: 'pii', title: `Personal data, ${words.long}`, test, 'data-pii': pii },
    icon('lock'),
    unseen(`personal data, ${words.long}`),
    el('span', { 'aria-hidden': 'true' }, words.short),
  );
}

// column: { pii }; whole: for a panel, where there is room and a copy button.
export function valueNode(value, column, { whole = false } = {}) {
  if (value === null || value === undefined) {
    return el('span', { class: 'null' }, 'NULL');
  }
  if (column.pii) {
    return pseudonym(String(value), column.pii, whole);
  }
  if (typeof value === 'number' || value instanceof Exact) {
    return withCopy(el('span', { class: 'value' }, String(value)), String(value), whole);
  }
  if (typeof value === 'boolean') {
    return withCopy(el('span', { class: 'value mono' }, String(value)), String(value), whole);
  }
  if (typeof value === 'object') {
    const written = JSON.stringify(value, null, whole ? 2 : 0);
    return whole
      ? withCopy(el('pre', { class: 'value json' }, plain(written, wholeCharactersMax)), written, whole)
      : el(
          'bdi',
          { class: 'value mono', title: writtenOut(written.slice(0, 2000)) },
          plain(written, cellCharactersMax),
        );
  }
  const text = String(value);
  if (text === '') {
    return el('span', { class: 'null' }, 'empty text');
  }
  return withCopy(
    el('bdi', { class: 'value' }, plain(text, whole ? wholeCharactersMax : cellCharactersMax)),
    text,
    whole,
  );
}

// Whether a text has the form of a pseudonym, for records whose columns are not told.
export function looksHidden(value) {
  return typeof value === 'string' && /^(\\x)?[0-9a-f]{64}$/.test(value);
}

function pseudonym(text, pii, whole) {
  const words = piiWords[pii] ?? { short: pii, long: 'pseudonym' };
  const digits = text.replace(/^\\x/, '');
  const isLong = digits.length > 16;
  const shown = isLong ? `${digits.slice(0, 6)}…${digits.slice(-4)}` : digits;
  const node = el(
    'span',
    {
      class: 'pseudonym',
      title: `${words.long}\n${writtenOut(text.slice(0, 200))}`,
      test: 'pseudonym',
      'data-pii': pii,
    },
    icon('lock'),
    unseen(
      `${pii === 'mask' ? 'masked value' : 'pseudonym'}, ${isLong ? `begins ${digits.slice(0, 6)}, ends ${digits.slice(-4)}` : ''}`,
    ),
    el('span', { class: 'mono', 'aria-hidden': isLong ? 'true' : null }, plain(shown, 40)),
  );
  return whole ? el('span', { class: 'with-copy' }, node, copyButton(text, 'Copy pseudonym', 'copy-pseudonym')) : node;
}

function withCopy(node, text, whole) {
  return whole ? el('span', { class: 'with-copy' }, node, copyButton(text, 'Copy value', 'copy-value')) : node;
}

// The path form of a key, as a person reads it.
export function readableKey(key) {
  try {
    return key.split(',').map(decodeURIComponent).join(', ');
  } catch {
    return key;
  }
}

// Text with its control and direction characters written out, cut to a length.
export function plain(text, charactersMax = Infinity, pattern = hiddenInText) {
  const cut = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  const parts = [];
  let rest = 0;
  for (const found of cut.matchAll(pattern)) {
    parts.push(cut.slice(rest, found.index), el('span', { class: 'hidden-character' }, escaped(found[0])));
    rest = found.index + found[0].length;
  }
  parts.push(cut.slice(rest));
  return parts.filter((part) => part !== '');
}

// The whole name of a file, a column, a table, a job, or a key, so that it cannot pass for another.
export function plainName(name) {
  return plain(String(name ?? ''), Infinity, hiddenInNames);
}
