// The other engine: log in and end a session, with script and without.
import assert from 'node:assert/strict';

import { launchFirefox } from './browsers.mjs';
import { picture } from './scenario.mjs';
import { COOKIE, api_session, password, url } from './visitor.mjs';

const watch = setTimeout(() => {
  console.error('firefox: more than 90 s');
  process.exit(1);
}, 90_000);

const browser = await launchFirefox();
try {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => {
    // The mark of what can be opened is a font that Firefox has within it; a page that named one would be stopped by its policy.
    const isOwn = request.url().startsWith(`${url}/`) || request.url().startsWith('data:font/');
    if (!isOwn) faults.push(`asked another origin: ${request.url()}`);
  });
  const path = () => new URL(page.url()).pathname;
  const leave = (selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
  const fill = async (selector, text) => {
    await page.$eval(selector, (input) => { input.value = ''; });
    await page.type(selector, text);
  };

  const { session } = await api_session('hugo');
  await page.goto(`${url}/account/sessions`);
  assert.equal(path(), '/login');
  assert.equal(await page.$eval('html', (html) => html.lang), 'fr');
  await fill('main [name=username]', 'hugo');
  await fill('main [name=password]', 'trois lapins bleus dorment');
  await leave('main form[action="/login"] button[type=submit]');
  assert.match(await page.$eval('main [role=alert]', (alert) => alert.textContent), /\S/);
  await fill('main [name=password]', password);
  await leave('main form[action="/login"] button[type=submit]');
  assert.equal(path(), '/account/sessions');
  console.log('firefox: log in');

  const cookie = (await page.cookies()).find(({ name }) => name === COOKIE);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.session], [true, 'Strict', true]);
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length + sessionStorage.length), '00');
  await page.screenshot({ path: picture('firefox-sessions'), fullPage: true });

  const end = `form[action="/account/sessions/${session.id}/end"]`;
  await leave(`${end} button`);
  assert.equal(path(), '/account/sessions');
  assert.equal(await page.$(end), null);
  console.log('firefox: end a session');

  await leave('header form[action="/logout"] button');
  await page.goBack();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.doesNotMatch(await page.$eval('body', (body) => body.innerText), /hugo/);
  assert.deepEqual(faults, []);
  console.log('firefox: log out');
} catch (error) {
  console.error(`firefox: ${error.stack}`);
  process.exitCode = 1;
} finally {
  clearTimeout(watch);
  await browser.close();
}
