// The choice among refused rows: boxes to tick, and the buttons that act on what is ticked.

import { plural } from './format.js';
import { button, el, setText } from './ui.js';

const idsMax = 500;

// shown: the rows of the list by their ids; tableElement() is the list; act('replay' | 'discard').
export function chooser(shown, tableElement, act) {
  const chosen = new Set();
  let anchor = null;
  const all = el('input', {
    type: 'checkbox',
    'aria-label': 'Choose all open rows shown',
    test: 'choose-all',
    on: { change: () => mark([...shown.keys()], all.checked) },
  });
  const bar = choiceBar(act);

  // With the shift key, everything between the last box and this one.
  function box(row) {
    const id = row.quarantine_id;
    const node = boxOf(row);
    node.checked = chosen.has(id);
    node.addEventListener('click', (event) => {
      const ids = [...shown.keys()];
      const ends = [ids.indexOf(event.shiftKey && anchor !== null ? anchor : id), ids.indexOf(id)];
      anchor = id;
      mark(ids.slice(Math.min(...ends), Math.max(...ends) + 1), node.checked);
    });
    return node;
  }

  function mark(ids, isWanted) {
    for (const id of ids) {
      if (!isWanted) {
        chosen.delete(id);
      } else if (shown.get(id).state === 'open' && chosen.size < idsMax) {
        chosen.add(id);
      }
    }
    refresh();
  }

  function refresh() {
    for (const node of tableElement().querySelectorAll('tr[data-id]')) {
      const isChosen = chosen.has(Number(node.dataset.id));
      node.querySelector('input').checked = isChosen;
      node.classList.toggle('chosen', isChosen);
    }
    const open = [...shown.values()].filter((row) => row.state === 'open').length;
    all.checked = open > 0 && chosen.size === open;
    all.indeterminate = chosen.size > 0 && chosen.size < open;
    all.disabled = open === 0;
    bar.tell(chosen.size);
  }

  return { all, bar: bar.element, box, refresh, ids: () => [...chosen], clear: () => chosen.clear() };
}

function boxOf(row) {
  return el('input', {
    type: 'checkbox',
    'aria-label': `Choose row #${row.quarantine_id}`,
    disabled: row.state !== 'open',
    test: 'choose',
  });
}

// How many are chosen, and what to do with them.
function choiceBar(act) {
  const told = el('span', { role: 'status', test: 'chosen-count' });
  const replay = button('Replay', { kind: 'primary', sign: 'turn', test: 'replay', onClick: () => act('replay') });
  const discard = button('Discard', { kind: 'danger', sign: 'cross', test: 'discard', onClick: () => act('discard') });
  const element = el(
    'div',
    { class: 'choice-bar', role: 'group', 'aria-label': 'What to do with the chosen rows', test: 'choice-bar' },
    told,
    el('div', { class: 'actions' }, replay, discard),
  );
  return {
    element,
    tell(chosen) {
      replay.disabled = chosen === 0;
      discard.disabled = chosen === 0;
      const most = chosen === idsMax ? ', the most at once' : '';
      setText(
        told,
        chosen === 0 ? 'Choose open rows to replay or discard them' : `${plural(chosen, 'row')} chosen${most}`,
      );
    },
  };
}
