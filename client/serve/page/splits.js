// Shows a bar for each split of a run, grouped by file, and moves the bars as events come.

import { count, percent, plural, writtenOut } from './format.js';
import { el, setText } from './ui.js';
import { moreButton } from './table.js';
import { plainName } from './values.js';

export function splitBars({ loadMore }) {
  const files = new Map();
  const splits = new Map();
  const list = el('div', { class: 'split-files', test: 'splits' });
  const more = moreButton({ test: 'splits-more', label: 'Show more splits', load: loadMore });
  const element = el('div', {}, list, more.element);

  function groupOf(file) {
    let group = files.get(file);
    if (!group) {
      const state = el('span', { class: 'muted small' });
      const bars = el('ul', { class: 'split-bars' });
      const head = el('h3', {}, el('bdi', {}, plainName(file)));
      list.append(el('div', { class: 'split-file' }, el('div', { class: 'split-head' }, head, state), bars));
      group = { state, bars, members: new Set() };
      files.set(file, group);
    }
    return group;
  }

  function put(split) {
    let known = splits.get(split.split_id);
    if (!known) {
      const group = groupOf(split.file);
      const name = el('span', { class: 'split-name' }, split.label ?? `split ${split.split_id}`);
      const share = el('span', { class: 'split-share', test: 'split-share' });
      const words = `split ${split.split_id} of ${writtenOut(split.file)}`;
      const bar = el('progress', { 'aria-label': words, max: '1', value: '0' });
      const node = el(
        'li',
        { test: 'split', 'data-split': split.split_id },
        el('div', { class: 'split-line' }, name, share),
        bar,
      );
      group.bars.append(node);
      group.members.add(split.split_id);
      known = { node, name, share, bar, group, done: 0, total: 0 };
      splits.set(split.split_id, known);
    }
    if (split.label) {
      setText(known.name, split.label);
    }
    known.done = Number(split.done);
    known.total = Number(split.total);
    // A split that holds no row is done as soon as somebody looked at it.
    const isDone = split.isDone ?? (known.total > 0 && known.done >= known.total);
    known.isDone = isDone;
    known.bar.max = Math.max(known.total, 1);
    known.bar.value = isDone ? known.bar.max : known.done;
    known.bar.classList.toggle('whole', isDone);
    known.node.dataset.done = String(isDone);
    setText(known.share, isDone ? '100%' : known.done === 0 ? '0%' : percent(known.done, known.total));
    return known.group;
  }

  function sums(groups) {
    for (const group of groups) {
      let done = 0;
      for (const id of group.members) {
        done += splits.get(id).isDone ? 1 : 0;
      }
      setText(group.state, `${count(done)} of ${plural(group.members.size, 'split')} done`);
    }
  }

  return {
    element,
    // Rows of GET /runs/{id}/splits.
    add(answer) {
      const touched = new Set(
        answer.splits.map((split) =>
          put({
            split_id: split.split_id,
            file: split.file,
            done: split.next_row - split.start_row,
            total: split.end_row - split.start_row,
            isDone: split.done,
            label: `rows ${count(split.start_row + 1)}–${count(split.end_row)}`,
          }),
        ),
      );
      sums(touched);
      more.offer(answer.next_after);
    },
    // The splits of a progress event.
    update(changed) {
      sums(
        new Set(
          changed.map((split) =>
            put({ split_id: split.split_id, file: split.file, done: split.done_rows, total: split.rows }),
          ),
        ),
      );
    },
    get size() {
      return splits.size;
    },
  };
}
