// Asks the server under /api/v1 and turns every answer into a value or a Problem.
//
// The token lives in sessionStorage: it ends with the tab, and no cookie ever exists.
// Integers that JavaScript cannot hold stay exact: they come as an Exact, which holds the digits of the answer.

const root = '/api/v1';
const answerMilliseconds = 35000;
const tokenName = 'ferry-token';

// What went wrong with a request; status 0 means that there was no answer.
export class Problem extends Error {
  constructor({ status, code, title, detail, retryAfter }) {
    super(detail || title);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

// A number by its digits, where a JavaScript number would round it.
export class Exact {
  constructor(digits) {
    this.digits = digits;
  }

  toString() {
    return this.digits;
  }

  valueOf() {
    return Number(this.digits);
  }

  toJSON() {
    return JSON.rawJSON ? JSON.rawJSON(this.digits) : this.digits;
  }
}

export const token = {
  get() {
    try {
      return sessionStorage.getItem(tokenName);
    } catch {
      return null;
    }
  },
  set(value) {
    try {
      sessionStorage.setItem(tokenName, value);
    } catch {
      // Without storage the form is asked for again, which says so itself.
    }
  },
  forget() {
    try {
      sessionStorage.removeItem(tokenName);
    } catch {
      // Nothing was stored.
    }
  },
};

// A path of the API: each part is encoded, parameters without a value are left out.
export function path(parts, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') {
      query.set(name, String(value));
    }
  }
  const written = parts.map((part) => encodeURIComponent(String(part))).join('/');
  return `${root}/${written}${query.size > 0 ? `?${query}` : ''}`;
}

// The path of one record; its key comes in path form, encoded already.
export function recordPath(table, key) {
  if (key === '' || /^(\.|%2e){1,2}$/i.test(key)) {
    // A browser resolves such a segment before it asks, and would ask for something else.
    throw new Problem({ status: 404, code: 'record_not_found', title: 'This key cannot be part of an address' });
  }
  return `${path(['tables', table, 'records'])}/${key.replaceAll(/[/?#\\\s]/g, encodeURIComponent)}`;
}

export function get(address, options = {}) {
  return ask(address, { method: 'GET', ...options });
}

export function post(address, body) {
  return ask(address, { method: 'POST', body: body === undefined ? undefined : JSON.stringify(body) });
}

// Opens an answer without reading it; for streams.
export async function open(address, { signal, accept }) {
  return checked(await send(address, { method: 'GET', signal, accept }));
}

// Reads JSON; integers beyond 2^53 and other numbers that would change become Exact.
export function parse(text) {
  return JSON.parse(text, (_name, value, context) => {
    if (typeof value !== 'number' || context === undefined) {
      return value;
    }
    const isWhole = /^-?\d+$/.test(context.source);
    if (isWhole ? !Number.isSafeInteger(value) : loses(value, context.source)) {
      return new Exact(context.source);
    }
    return value;
  });
}

async function ask(address, { method, body, signal }) {
  const limits = [AbortSignal.timeout(answerMilliseconds)];
  if (signal) {
    limits.push(signal);
  }
  const response = await checked(await send(address, { method, body, signal: AbortSignal.any(limits) }));
  let text;
  try {
    text = await response.text();
  } catch (error) {
    throw failed(error);
  }
  try {
    return parse(text);
  } catch {
    throw new Problem({
      status: 0,
      code: 'no_json',
      title: 'The answer is no JSON',
      detail: 'Something between this page and ferry-client answered in its place.',
    });
  }
}

async function send(address, { method, body, signal, accept }) {
  const headers = new Headers({ accept: accept ?? 'application/json, application/problem+json' });
  const known = token.get();
  if (known) {
    headers.set('authorization', `Bearer ${known}`);
  }
  if (body !== undefined) {
    headers.set('content-type', 'application/json');
  }
  try {
    return await fetch(address, {
      method,
      body,
      headers,
      signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
  } catch (error) {
    throw failed(error);
  }
}

async function checked(response) {
  if (response.ok) {
    return response;
  }
  let told = {};
  try {
    told = JSON.parse((await response.text()).slice(0, 65536)) ?? {};
  } catch {
    // An answer without a problem document still has its status.
  }
  const problem = new Problem({
    status: response.status,
    code: text(told.code) ?? `http_${response.status}`,
    title: text(told.title) ?? response.statusText,
    detail: text(told.detail),
    retryAfter: seconds(response.headers.get('retry-after')),
  });
  if (problem.status === 401) {
    token.forget();
    window.dispatchEvent(new Event('ferry:token-wanted'));
  }
  throw problem;
}

function failed(error) {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new Problem({
      status: 0,
      code: 'timeout',
      title: 'No answer in time',
      detail: `ferry-client did not answer within ${answerMilliseconds / 1000} seconds.`,
    });
  }
  if (error instanceof DOMException && error.name === 'AbortError') {
    return error;
  }
  return new Problem({
    status: 0,
    code: 'unreachable',
    title: 'No answer',
    detail: 'ferry-client cannot be reached from this browser.',
  });
}

// Whether a fraction has more digits than a double keeps.
function loses(value, source) {
  if (!Number.isFinite(value)) {
    return true;
  }
  const digits = (written) =>
    written.toLowerCase().split('e')[0].replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '');
  return digits(source).length > 15 && digits(source) !== digits(String(value));
}

function seconds(header) {
  if (header === null) {
    return undefined;
  }
  const number = Number(header);
  const wait = Number.isFinite(number) ? number : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), 300) : undefined;
}

function text(value) {
  return typeof value === 'string' && value !== '' ? value.slice(0, 2000) : undefined;
}
