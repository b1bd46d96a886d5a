// Every action once in a browser that runs no script.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api_session, password } from './visitor.mjs';

const NEW = 'cinq renards roux galopent';
const without_script = { script: false };

await scenario(async ({ step, visitor }) => {
  const bob = await visitor({ javaScriptEnabled: false });
  const rows = () => bob.page.locator('main tbody tr');

  await step('log in, after a wrong password', async () => {
    await bob.go('/account/sessions');
    bob.is_at('/login');
    await look(bob, without_script);
    await bob.page.screenshot({ path: picture('login-without-script'), fullPage: true });
    await bob.log_in('bob', 'trois lapins bleus dorment');
    assert.match(await bob.alert(), /\S/);
    assert.equal(await bob.field('username').inputValue(), 'bob');
    await bob.log_in('bob');
    bob.is_at('/account/sessions');
    await look(bob, without_script);
  });

  await step('choose a time zone', async () => {
    await bob.choose_zone('UTC');
    bob.is_at('/account/sessions');
    assert.match(await rows().locator('time').first().innerText(), /\(UTC\)/);
  });

  await step('choose a language', async () => {
    await bob.choose_language('en');
    await look(bob, { language: 'en', script: false });
    await bob.choose_language('fr');
    bob.is_at('/account/sessions');
  });

  await step('end one session', async () => {
    const { session } = await api_session('bob');
    await bob.go('/account/sessions');
    await bob.send(`/account/sessions/${session.id}/end`);
    assert.equal(await rows().locator(`form[action="/account/sessions/${session.id}/end"]`).count(), 0);
    await bob.page.screenshot({ path: picture('sessions-without-script'), fullPage: true });
  });

  await step('end all others', async () => {
    await api_session('bob');
    await bob.go('/account/sessions');
    await bob.send('/account/sessions/end-others');
    bob.is_at('/account/sessions');
    await look(bob, without_script);
  });

  await step('see the attempts', async () => {
    await bob.follow('/account/attempts');
    await look(bob, without_script);
    assert.ok((await rows().count()) >= 4);
  });

  await step('change the password', async () => {
    await bob.go('/account/password');
    await look(bob, without_script);
    const refused = { current_password: password, new_password: NEW, new_password_again: 'autrement' };
    await bob.send('/account/password', refused);
    assert.match(await bob.alert(), /\S/);
    await bob.send('/account/password', { ...refused, new_password_again: NEW });
    await look(bob, without_script);
    await bob.go('/account');
    bob.is_at('/account');
  });

  await step('take away all that is kept', async () => {
    await bob.go('/account/export');
    await look(bob, without_script);
    const begun = bob.page.waitForEvent('download');
    await bob.page.locator('main form[action="/account/export"] button').click();
    const text = await readFile(await (await begun).path(), 'utf8');
    assert.ok(text.trimEnd().split('\n').every((line) => typeof JSON.parse(line) === 'object'));
  });

  await step('log out', async () => {
    await bob.go('/logout');
    await look(bob, without_script);
    await bob.send('/logout');
    assert.equal(await bob.cookie(), undefined);
    await look(bob, without_script);
  });

  await step('end all', async () => {
    await bob.logged_in('bob', NEW);
    await bob.go('/account/sessions');
    await bob.send('/account/sessions/end-all');
    await bob.go('/account');
    bob.is_at('/login');
  });
});
