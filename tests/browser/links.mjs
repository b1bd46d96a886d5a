// The pages that a one-time link opens: a look at them uses nothing up, and the address keeps no secret.
import assert from 'node:assert/strict';

import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api, password } from './visitor.mjs';

const { VIGIE_SETUP_TOKEN: setup_token, VIGIE_RESET_TOKEN: reset_token, VIGIE_REPORT_TOKEN: report_token } = process.env;
const NEW = 'cinq renards roux galopent';

await scenario(async ({ step, visitor }) => {
  if (setup_token) await first_administrator(step, visitor);
  if (reset_token) await new_password(step, visitor);
  if (report_token) await not_me(step, visitor);
});

// Opens a link; what was secret in the address is gone from it.
async function open(visitor, path, token) {
  await visitor.go(`${path}?token=${token}`);
  assert.equal(visitor.place, path);
  assert.doesNotMatch(await visitor.page.content(), /vgt_/);
  for (const cookie of await visitor.context.cookies()) assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict', cookie.name);
}

async function first_administrator(step, visitor) {
  await step('an empty installation shows the set-up', async () => {
    const anybody = await visitor();
    await anybody.go('/');
    anybody.is_at('/setup');
    await look(anybody);
    await anybody.page.screenshot({ path: picture('setup-without-link'), fullPage: true });
  });

  await step('a look at the link uses nothing up', async () => {
    const curious = await visitor();
    await open(curious, '/setup', setup_token);
    await look(curious);
  });

  await step('the link makes the first administrator', async () => {
    const root = await visitor();
    await open(root, '/setup', setup_token);
    await root.page.screenshot({ path: picture('setup'), fullPage: true });
    await root.send('/setup', { username: 'root', new_password: 'court', new_password_again: 'court' });
    root.is_at('/setup');
    assert.match(await root.alert(), /\S/);
    assert.equal(await root.field('username').inputValue(), 'root');
    await look(root);
    await root.page.screenshot({ path: picture('setup-refused'), fullPage: true });
    await root.send('/setup', { username: 'root', new_password: password, new_password_again: password });
    await root.go('/account');
    root.is_at('/account');
    await look(root);
  });

  await step('the link is used up', async () => {
    const late = await visitor();
    await open(late, '/setup', setup_token);
    await look(late);
    assert.equal(await late.field('new_password').count(), 0);
    await late.page.screenshot({ path: picture('setup-used-up'), fullPage: true });
    await late.go('/');
    late.is_at('/login');
  });
}

async function not_me(step, visitor) {
  await step('ath_08: the link of a mail asks first, in the layout of every page', async () => {
    const carol = await visitor({ javaScriptEnabled: false });
    await carol.go(`/auth/not-me?token=${report_token}`);
    assert.equal(carol.place, '/not-me');
    assert.doesNotMatch(await carol.page.content(), /vgt_/);
    await look(carol, { script: false });
    await carol.page.screenshot({ path: picture('not-me'), fullPage: true });
    await carol.page.setViewportSize({ width: 320, height: 640 });
    await carol.page.screenshot({ path: picture('not-me-320'), fullPage: true });
  });

  await step('ath_08: its button ends everything, once', async () => {
    const carol = await visitor();
    await carol.go(`/not-me?token=${report_token}`);
    await carol.send('/not-me');
    await look(carol);
    assert.equal(await carol.page.locator('main form').count(), 0);
    await carol.page.screenshot({ path: picture('not-me-done'), fullPage: true });
    assert.equal((await api('/auth/login', { username: 'carol', password: NEW })).status, 401);
    const late = await visitor();
    await open(late, '/not-me', report_token);
    await look(late);
  });
}

async function new_password(step, visitor) {
  await step('who forgot the password sets another by the link', async () => {
    const carol = await visitor();
    await open(carol, '/reset', reset_token);
    await look(carol);
    await carol.page.screenshot({ path: picture('reset'), fullPage: true });
    await carol.send('/reset', { new_password: NEW, new_password_again: 'autrement' });
    carol.is_at('/reset');
    assert.match(await carol.alert(), /\S/);
    await carol.send('/reset', { new_password: NEW, new_password_again: NEW });
    await look(carol);
    await carol.page.screenshot({ path: picture('reset-done'), fullPage: true });
    assert.equal(await carol.cookie(), undefined, 'it logs nobody in');
    await carol.logged_in('carol', NEW);
    assert.equal((await api('/auth/login', { username: 'carol', password })).status, 401);
  });

  await step('a link that is used up says so', async () => {
    const late = await visitor({ javaScriptEnabled: false });
    await open(late, '/reset', reset_token);
    await look(late, { script: false });
    await late.page.screenshot({ path: picture('reset-used-up'), fullPage: true });
  });
}
