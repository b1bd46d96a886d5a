// The own pages: one's sessions and attempts, the password, the export. What one browser ends, the other sees at its next click.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { COOKIE, api_session, password, url } from './visitor.mjs';

const NEW = 'cinq renards roux galopent';
const MARKUP = '<img src=x onerror=alert(1)>';

await scenario(async ({ step, visitor }) => {
  const here = await visitor();
  const there = await visitor();
  const rows = (page = here.page) => page.locator('main tbody tr');

  await step('every session is in the list, and this one is marked', async () => {
    await api_session('alice', { device_name: MARKUP }, { 'user-agent': `Mozilla/5.0 ${MARKUP}` });
    await there.logged_in('alice');
    await here.logged_in('alice');
    await here.follow('/account/sessions');
    await look(here);
    assert.equal(await rows().count(), 3);
    assert.equal(await own_rows(rows()).count(), 1);
    await here.page.screenshot({ path: picture('sessions'), fullPage: true });
  });

  await step('web_05: what a client says of itself is text', async () => {
    assert.equal(await here.page.locator('main img').count(), 0);
    assert.match(await here.text(), /<img src=x onerror=alert\(1\)>/);
  });

  await step('an ended session is out at its next click', async () => {
    await there.go('/account/sessions');
    const id = await session_of(there);
    await here.send(`/account/sessions/${id}/end`);
    here.is_at('/account/sessions');
    assert.equal(await rows().filter({ has: here.page.locator(`form[action="/account/sessions/${id}/end"]`) }).count(), 0);
    await look(here);
    await here.page.screenshot({ path: picture('sessions-one-ended'), fullPage: true });
    await there.follow('/account/attempts');
    there.is_at('/login');
    await look(there);
    await there.page.screenshot({ path: picture('login-after-end'), fullPage: true });
  });

  await step('who logs in again comes to the page that was clicked', async () => {
    await there.log_in('alice');
    there.is_at('/account/attempts');
  });

  await step('all other sessions end at once, this one goes on', async () => {
    await here.go('/account/sessions');
    await here.send('/account/sessions/end-others');
    here.is_at('/account/sessions');
    assert.equal(await own_rows(rows()).count(), 1);
    assert.equal(await here.page.locator('main form[action$="/end"]').count() <= 1, true);
    await there.go('/account');
    there.is_at('/login');
  });

  await step('every attempt is in the list', async () => {
    await there.log_in('alice', 'trois lapins bleus dorment');
    await here.go('/account/attempts');
    await look(here);
    // Four logins and one that failed.
    assert.equal(await rows().count(), 5);
    await here.page.screenshot({ path: picture('attempts'), fullPage: true });
  });

  await step('times are shown with their zone, which is one\'s own choice', async () => {
    const times = () => here.page.locator('main tbody time');
    const before = { shown: await times().first().innerText(), exact: await times().first().getAttribute('datetime') };
    assert.match(before.exact, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
    await here.page.locator('#time-zone').selectOption('Pacific/Noumea');
    await here.leave(() => here.page.locator('form:has(#time-zone) button').click());
    here.is_at('/account/attempts');
    assert.notEqual(await times().first().innerText(), before.shown);
    assert.match(await here.page.locator('main').innerText(), /Noum|UTC\+11|\+11/);
  });

  await step('a password that does not do is refused with the reason', async () => {
    await here.go('/account/password');
    await look(here);
    await here.page.screenshot({ path: picture('password'), fullPage: true });
    const refused = async (current_password, new_password, new_password_again) => {
      await here.send('/account/password', { current_password, new_password, new_password_again });
      here.is_at('/account/password');
      for (const name of ['current_password', 'new_password', 'new_password_again']) {
        assert.equal(await here.field(name).inputValue(), '', `${name} is not sent back`);
      }
      return here.alert();
    };
    const reasons = [
      await refused('trois lapins bleus dorment', NEW, NEW),
      await refused(password, NEW, `${NEW} vite`),
      await refused(password, 'court', 'court'),
    ];
    assert.equal(new Set(reasons).size, 3, reasons.join('\n'));
    await look(here);
    await here.page.screenshot({ path: picture('password-refused'), fullPage: true });
  });

  await step('a new password makes the old cookie void, and the session goes on', async () => {
    await there.log_in('alice');
    const old = await here.cookie();
    await here.send('/account/password', { current_password: password, new_password: NEW, new_password_again: NEW });
    assert.notEqual((await here.cookie()).value, old.value);
    await look(here);
    await here.page.screenshot({ path: picture('password-changed'), fullPage: true });
    await here.go('/account');
    here.is_at('/account');

    const thief = await visitor();
    await thief.context.addCookies([{ name: COOKIE, value: old.value, url, httpOnly: true, sameSite: 'Strict' }]);
    await thief.go('/account');
    thief.is_at('/login');

    await there.go('/account');
    there.is_at('/login');
    await there.log_in('alice', password);
    there.is_at('/login');
    await there.log_in('alice', NEW);
    there.is_at('/account');
  });

  await step('one takes away all that is kept of oneself', async () => {
    await here.go('/account/export');
    await look(here);
    await here.page.screenshot({ path: picture('export'), fullPage: true });
    const begun = here.page.waitForEvent('download');
    await here.page.locator('main form[action="/account/export"] button').click();
    const download = await begun;
    assert.match(download.suggestedFilename(), /\.ndjson$/);
    const text = await readFile(await download.path(), 'utf8');
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.ok(lines.length > 5 && JSON.stringify(lines).includes('alice'), text);
    assert.doesNotMatch(text, /vgs_|\$argon2/);
  });

  await step('all sessions end at once, this one with them', async () => {
    await here.go('/account/sessions');
    await here.send('/account/sessions/end-all');
    assert.equal(await here.cookie(), undefined);
    await look(here);
    await here.go('/account');
    here.is_at('/login');
    await there.go('/account');
    there.is_at('/login');
  });
});

// The row that says of itself that it is this very session.
function own_rows(rows) {
  return rows.filter({ hasText: /cette session/i });
}

// The id of a visitor's own session, as its list shows it.
async function session_of({ page }) {
  const action = await own_rows(page.locator('main tbody tr')).locator('form').getAttribute('action');
  return action.split('/').at(-2);
}
