// Follows a run: reads its server-sent events through fetch, and connects again when the stream breaks.
//
// EventSource cannot send a token, so the events are read by hand.
// Invariant: at most one stream is open; after stop() no handler is called.

import { open, parse, Problem } from './api.js';

const silenceMilliseconds = 20000;
const pauseMillisecondsMin = 1000;
const pauseMillisecondsMax = 15000;
const eventCharactersMax = 2 * 1024 * 1024;

// Handlers: progress(data), end(data), state('live' | 'waiting' | 'ended', seconds), refused(problem).
export function followRun(address, handlers) {
  const stopping = new AbortController();
  follow(address, handlers, stopping.signal);
  return () => stopping.abort();
}

async function follow(address, handlers, stopped) {
  let pause = pauseMillisecondsMin;
  while (!stopped.aborted) {
    let wait = pause;
    try {
      const ended = await readStream(address, handlers, stopped, () => {
        pause = pauseMillisecondsMin;
      });
      if (ended || stopped.aborted) {
        if (!stopped.aborted) {
          handlers.state('ended');
        }
        return;
      }
      wait = pause;
    } catch (error) {
      if (stopped.aborted) {
        return;
      }
      if (error instanceof Problem && [401, 403, 404].includes(error.status)) {
        handlers.refused(error);
        return;
      }
      if (error instanceof Problem && error.retryAfter !== undefined) {
        wait = Math.max(error.retryAfter * 1000, pauseMillisecondsMin);
      }
    }
    handlers.state('waiting', Math.round(wait / 1000));
    await sleep(wait, stopped);
    pause = Math.min(pause * 2, pauseMillisecondsMax);
  }
}

// Reads one stream to its end; true if the run came to its end.
async function readStream(address, handlers, stopped, onFirst) {
  const silent = new AbortController();
  let alarm = setTimeout(() => silent.abort(), silenceMilliseconds);
  try {
    const signal = AbortSignal.any([stopped, silent.signal]);
    const response = await open(address, { signal, accept: 'text/event-stream' });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const events = new Events();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return false;
      }
      clearTimeout(alarm);
      alarm = setTimeout(() => silent.abort(), silenceMilliseconds);
      for (const event of events.take(value)) {
        if (stopped.aborted) {
          return false;
        }
        if (event.name === 'progress') {
          onFirst();
          handlers.state('live');
          handlers.progress(parse(event.data));
        } else if (event.name === 'end') {
          handlers.end(parse(event.data));
          reader.cancel().catch(() => {});
          return true;
        }
      }
    }
  } finally {
    clearTimeout(alarm);
  }
}

// Cuts text into events, as the HTML standard says (section 9.2.6).
export class Events {
  #rest = '';
  #name = '';
  #data = [];

  take(text) {
    const events = [];
    this.#rest += text;
    if (this.#rest.length > eventCharactersMax) {
      throw new Problem({ status: 0, code: 'event_too_large', title: 'An event is too large' });
    }
    // A lone CR at the end may be the first half of CRLF.
    const lines = this.#rest.replace(/\r(?!$)\n?/g, '\n').split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) {
          events.push({ name: this.#name || 'message', data: this.#data.join('\n') });
        }
        this.#name = '';
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') {
        this.#name = value;
      } else if (field === 'data') {
        this.#data.push(value);
      }
    }
    return events;
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
