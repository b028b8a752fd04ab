// Owns the dialog that ends every session a filter matches: counted first, confirmed, then ended page by page.
// Must never end anything before the number was shown and confirmed, nor claim more than the service has answered.

import { say } from './form.js';
import { withProof } from './step-up.js';
import { endByFilter } from './admin-api.js';
import { again, byId, capital, count } from './console-parts.js';
import { complain } from './console-acts.js';

const PAGE = 500;
/** Most that are counted before it is asked whether they shall end. */
const MOST = 10_000;
/** How often it is asked by itself whether all is confirmed. */
const PATIENCE = 5;
/** So many pages that end nothing are one too many: it would go on for ever. */
const IDLE = 3;
const dialog = byId('revoke');
const text = byId('revoke-text');
const bar = byId('revoke-bar');
const yes = byId('revoke-yes');
const no = byId('revoke-no');
let stage = null;

yes.addEventListener('click', () => stage?.go());
no.addEventListener('click', leave);
// Escape does what the button does.
dialog.addEventListener('cancel', (event) => { event.preventDefault(); leave(); });

/** Runs the dialog for this filter; `words` is the filter as a sentence has it. */
export async function endAllThatMatch(filter, words) {
  stage = { filter, words, stopped: false, ended: 0, unconfirmed: 0, go: null };
  const mine = stage;
  byId('revoke-title').textContent = 'End these sessions?';
  bar.hidden = true;
  choices('Cancel', null);
  say(text, 'Counting…');
  dialog.showModal();
  no.focus();
  await guarded(mine, async () => {
    const { matched, more } = await endByFilter({ filter, dry_run: true, limit: MOST }, waitingIn(mine));
    if (stage !== mine) return;
    mine.total = more ? null : matched;
    if (matched === 0) {
      say(text, `No other session matches: ${words}.`);
      return choices('Close', null);
    }
    const number = more ? `More than ${count(matched, 'session')}` : capital(count(matched, 'session'));
    const ending = matched === 1 ? 'It ends' : 'They end';
    say(text, `${number} ${matched === 1 && !more ? 'matches' : 'match'}: ${words}. ${ending} at once, everywhere. Your current session stays.`);
    choices('Cancel', more ? 'End all of them' : `End ${count(matched, 'session')}`);
    mine.go = () => end(mine);
  });
}

async function end(mine) {
  mine.go = null;
  choices('Stop', null);
  no.focus();
  Object.assign(mine, { idle: 0, waits: 0, running: true });
  byId('revoke-title').textContent = 'Ending sessions';
  bar.hidden = false;
  advance(mine);
  await guarded(mine, async () => {
    if (!(await withProof(() => onePage(mine)))) return close();
    while (mine.more && !mine.stopped) await onePage(mine);
  });
  mine.running = false;
  if (stage === mine && dialog.open) report(mine);
}

async function onePage(mine) {
  const page = await endByFilter({ filter: mine.filter, dry_run: false, limit: PAGE }, waitingIn(mine));
  // What a page could not confirm is counted by the next one, too, until it is.
  mine.ended += page.matched;
  mine.unconfirmed = page.unconfirmed;
  mine.idle = page.matched > 0 ? 0 : mine.idle + 1;
  mine.left = page.more;
  const waiting = !page.more && page.unconfirmed > 0;
  if (waiting) mine.waits += 1;
  mine.more = waiting ? mine.waits <= PATIENCE : page.more && mine.idle < IDLE;
  if (stage === mine) advance(mine);
  if (waiting && mine.more && !mine.stopped) await new Promise((resume) => setTimeout(resume, page.retryAfter * 1000));
}

function advance({ ended, unconfirmed, total }) {
  if (total) bar.max = total;
  if (total) bar.value = Math.min(ended, total);
  else bar.removeAttribute('value');
  const doubt = unconfirmed > 0 ? `; ${unconfirmed} not confirmed yet` : '';
  say(text, `${capital(count(ended, 'session'))} ended so far${doubt}…`);
}

function report(mine) {
  bar.hidden = true;
  byId('revoke-title').textContent = titleOf(mine);
  const parts = [`${capital(count(mine.ended, 'session'))} ended.`];
  if (mine.left && !mine.failed) parts.push('More sessions match.');
  if (mine.unconfirmed > 0) {
    parts.push(`${capital(count(mine.unconfirmed, 'session'))} ${mine.unconfirmed === 1 ? 'is' : 'are'} not confirmed yet: a node may still accept ${mine.unconfirmed === 1 ? 'it' : 'them'} for a moment. Repeat until all are confirmed.`);
  }
  if (mine.failed) parts.push(mine.failed.message);
  say(text, parts.join(' '), mine.failed ? 'bad' : mine.unconfirmed > 0 ? '' : 'good');
  const rest = mine.left || mine.failed ? 'Continue' : mine.unconfirmed > 0 ? 'Repeat' : null;
  choices('Close', rest);
  mine.go = rest === null ? null : () => end(restart(mine));
  no.focus();
}

function titleOf({ failed, left, unconfirmed }) {
  if (failed) return 'Not all sessions ended';
  if (left) return 'Stopped';
  return unconfirmed > 0 ? 'Ended, but not confirmed' : 'Done';
}

/** The same once more: the service finds only what is left, and what has ended stays counted. */
function restart({ filter, words, ended, unconfirmed }) {
  stage = { filter, words, stopped: false, ended, unconfirmed, go: null, total: null };
  return stage;
}

function leave() {
  if (stage?.running) {
    stage.stopped = true;
    say(text, 'Stopping after this page…');
  } else {
    close();
  }
}

function close() {
  const touched = (stage?.ended ?? 0) > 0;
  stage = null;
  dialog.close('');
  if (touched) again();
}

async function guarded(mine, action) {
  try {
    await action();
  } catch (error) {
    if (error.status === 401 || error.slug === 'forbidden') return complain(error);
    mine.failed = error;
    if (stage === mine && !mine.running) {
      say(text, error.errors?.[0]?.detail ?? error.message, 'bad');
      choices('Close', null);
    }
  }
}

function waitingIn(mine) {
  return { onWait: (words) => stage === mine && say(text, words) };
}

function choices(dismissing, going) {
  no.textContent = dismissing;
  yes.hidden = going === null;
  yes.textContent = going ?? '';
}
