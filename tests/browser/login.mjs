// Log in and log out: what is said, where one comes to, what is kept in the browser and what is not.
import assert from 'node:assert/strict';

import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';


const WRONG = 'trois lapins bleus dorment';
// Issue: the login page with its style and script.
const LOGIN_PAGE = 60_000;

await scenario(async ({ step, visitor }) => {
  const alice = await visitor();
  // When this session ends unless it is used, when it began, both its ends, and when the one before began.
  const times = () => alice.page.locator('main time');

  await step('who is not logged in comes to the login page, which is small', async () => {
    let bytes = 0;
    const weigh = async (response) => (bytes += (await response.body()).length);
    const weighed = [];
    const note = (response) => response.status() === 200 && weighed.push(weigh(response));
    alice.page.on('response', note);
    await alice.go('/');
    alice.is_at('/login');
    alice.page.off('response', note);
    await Promise.all(weighed);
    assert.ok(bytes < LOGIN_PAGE, `${bytes} bytes`);
    await look(alice);
    await alice.page.screenshot({ path: picture('login'), fullPage: true });
  });

  await step('the fields say to password managers what they are', async () => {
    const said = async (name) => [
      await alice.field(name).getAttribute('autocomplete'),
      await alice.field(name).getAttribute('type'),
      await alice.page.locator(`label[for="${await alice.field(name).getAttribute('id')}"]`).count(),
    ];
    assert.deepEqual(await said('username'), ['username', 'text', 1]);
    assert.deepEqual(await said('password'), ['current-password', 'password', 1]);
  });

  await step('a wrong password is told, and the name stays', async () => {
    await alice.log_in('alice', WRONG);
    alice.is_at('/login');
    assert.match(await alice.alert(), /\S/);
    assert.equal(await alice.field('username').inputValue(), 'alice');
    assert.equal(await alice.field('password').inputValue(), '');
    assert.doesNotMatch(alice.place, /alice|lapins/, 'nothing of it stands in the address');
    await look(alice);
    await alice.page.screenshot({ path: picture('login-refused'), fullPage: true });
  });

  await step('an unknown name is told in the same words', async () => {
    const wrong = await alice.alert();
    await alice.log_in('nobody-of-that-name', WRONG);
    assert.equal(await alice.alert(), wrong);
  });

  await step('the right password leads to the own pages', async () => {
    await alice.log_in('alice');
    alice.is_at('/account');
    assert.match(await alice.text(), /alice/);
    assert.equal(await times().count(), 4);
    await look(alice);
    await alice.page.screenshot({ path: picture('account-first'), fullPage: true });
  });

  await step('web_01: the cookie is for the browser alone', async () => {
    const { value, ...cookie } = await alice.cookie();
    assert.match(value, /^vgs_/);
    const { httpOnly, sameSite, path, expires, domain } = cookie;
    assert.deepEqual(
      { httpOnly, sameSite, path, expires, domain },
      { httpOnly: true, sameSite: 'Strict', path: '/', expires: -1, domain: '127.0.0.1' },
    );
    for (const other of await alice.context.cookies()) assert.ok(other.httpOnly && other.sameSite === 'Strict', other.name);
  });

  await step('asking to log out ends nothing yet', async () => {
    await alice.go('/logout');
    await look(alice);
    await alice.page.screenshot({ path: picture('logout'), fullPage: true });
    await alice.go('/account');
    alice.is_at('/account');
  });

  await step('the button at the top logs out, and the cookie is gone', async () => {
    const answered = alice.page.waitForResponse((response) => response.request().method() === 'POST');
    await alice.leave(() => alice.page.locator('header form[action="/logout"] button').click());
    const cleared = (await (await answered).allHeaders())['clear-site-data'] ?? '';
    assert.match(cleared, /"cache"/);
    assert.doesNotMatch(cleared, /"cookies"|"\*"/, 'other sites of the domain have cookies too');
    assert.equal(await alice.cookie(), undefined);
    assert.doesNotMatch(await alice.text(), /alice/);
    await look(alice);
  });

  await step('the Back button brings nothing private back', async () => {
    for (let pages = 0; pages < 3; pages++) {
      await alice.page.evaluate(() => history.back());
      await alice.page.waitForTimeout(300);
      await alice.page.waitForLoadState();
      const shown = await alice.text();
      assert.doesNotMatch(shown, /alice/, `at ${alice.place}`);
    }
  });

  await step('the next login tells of the one before', async () => {
    await alice.logged_in('alice');
    assert.equal(await times().count(), 5);
    await alice.page.screenshot({ path: picture('account'), fullPage: true });
  });

  await step('who is logged in already need not log in again', async () => {
    await alice.go('/login');
    alice.is_at('/account');
  });

  await step('after the login comes exactly the page that was wanted', async () => {
    const other = await visitor();
    await other.go('/account/sessions?state=all');
    other.is_at('/login');
    await look(other);
    await other.log_in('alice', WRONG);
    await other.log_in('alice');
    assert.equal(other.place, '/account/sessions?state=all');
  });

  await step('nobody is led to another site by a login', async () => {
    const evil = ['//elsewhere.example/', '/\\elsewhere.example/', 'https://elsewhere.example/', 'javascript:alert(1)',
      '/%09/elsewhere.example/', 'https://127.0.0.1@elsewhere.example/'];
    const other = await visitor();
    for (const place of evil) {
      await other.go(`/login?return_to=${encodeURIComponent(place)}`);
      await other.log_in('alice');
      other.is_at('/account');
      await other.context.clearCookies();
    }
  });

  await step('the language is one\'s own choice, and stays', async () => {
    const other = await visitor({ locale: 'de-DE' });
    await other.go('/login?return_to=%2Faccount%2Fsessions');
    assert.equal(await other.language(), 'fr');
    await other.choose_language('en');
    assert.equal(other.place, '/login?return_to=%2Faccount%2Fsessions', 'it is the same page');
    await look(other, { language: 'en' });
    await other.log_in('alice');
    other.is_at('/account/sessions');
    assert.equal(await other.language(), 'en');
    await other.choose_language('fr');
    other.is_at('/account/sessions');
    assert.equal(await other.language(), 'fr');
  });

  await step('the login page tells what is recorded, and where more stands', async () => {
    const other = await visitor();
    await other.go('/login');
    await other.follow('/privacy');
    await look(other);
    await other.page.screenshot({ path: picture('privacy'), fullPage: true });
  });

  await step('Windows 11 is not called 10: the browser tells it when it is asked', async () => {
    const other = await visitor();
    const browser = await other.context.newCDPSession(other.page);
    await browser.send('Emulation.setUserAgentOverride', {
      userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
      userAgentMetadata: {
        platform: 'Windows', platformVersion: '15.0.0', architecture: 'x86', model: '', mobile: false, brands: [],
      },
    });
    await other.logged_in('alice');
    await other.go('/account/sessions');
    assert.match(await other.text(), /Chrome, Windows 11/);
    await look(other);
    await other.page.screenshot({ path: picture('sessions-windows'), fullPage: true });
  });
});
