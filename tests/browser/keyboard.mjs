// With the keyboard alone: where one is can always be seen, and nothing needs another device.
import assert from 'node:assert/strict';

import { seen } from './focus.mjs';
import { picture, scenario } from './scenario.mjs';
import { api_session, password } from './visitor.mjs';

// More than any page has to go through.
const MANY = 60;

await scenario(async ({ step, visitor }) => {
  for (const [name, options] of [
    ['small', { viewport: { width: 320, height: 640 } }],
    // A window of 1280 × 1024 pixels at 400 %.
    ['enlarged', { viewport: { width: 320, height: 256 } }],
    ['wide', { viewport: { width: 1280, height: 800 } }],
  ]) {
    const flora = await visitor(options);
    const { keyboard } = flora.page;

    await step(`${name}: the first stop leads past what is the same everywhere`, async () => {
      await flora.go('/account/sessions');
      await flora.page.evaluate(() => document.activeElement.blur());
      await flora.page.evaluate(() => getSelection().removeAllRanges());
      await stop(flora, (at) => at.href === '#content', 1);
      await flora.page.screenshot({ path: picture(`keyboard-${name}-skip`) });
      await keyboard.press('Enter');
      await stop(flora, (at) => at.is_inside, 1);
    });

    await step(`${name}: log in, after a wrong password`, async () => {
      await type(flora, 'username', 'flora');
      await type(flora, 'password', 'trois lapins bleus dorment');
      await flora.leave(() => keyboard.press('Enter'));
      flora.is_at('/login');
      assert.match(await flora.alert(), /\S/);
      const described = await flora.field('password').getAttribute('aria-describedby');
      assert.equal(await flora.page.locator(`main [role=alert]:not(:empty)[id="${described}"]`).count(), 1, 'a11y_02: the field names its error');
      const is_read = await flora.page.evaluate(() => document.activeElement.closest('[role=alert]') !== null);
      assert.ok(is_read, 'what went wrong is read first');
      await type(flora, 'password', password);
      await stop(flora, (at) => at.kind === 'submit');
      await flora.page.screenshot({ path: picture(`keyboard-${name}-button`) });
      await flora.leave(() => keyboard.press('Space'));
      flora.is_at('/account/sessions');
    });

    await step(`${name}: every stop of the own pages can be seen`, async () => {
      for (const path of ['/account', '/account/sessions', '/account/attempts', '/account/password', '/account/export', '/accessibility']) {
        await flora.go(path);
        const stops = await round(flora);
        assert.ok(stops.length > 5, `${path}: ${JSON.stringify(stops)}`);
      }
    });

    await step(`${name}: end another session`, async () => {
      const { session } = await api_session('flora');
      await flora.go('/account/sessions');
      await stop(flora, (at) => at.action === `/account/sessions/${session.id}/end`);
      await flora.page.screenshot({ path: picture(`keyboard-${name}-end`) });
      await flora.leave(() => keyboard.press('Enter'));
      assert.equal(await flora.form(`/account/sessions/${session.id}/end`).count(), 0);
    });

    await step(`${name}: log out`, async () => {
      await stop(flora, (at) => at.action === '/logout');
      await flora.leave(() => keyboard.press('Enter'));
      assert.equal(await flora.cookie(), undefined);
    });
  }
});

// Goes on by the tabulator until it is there; looks at each stop on the way.
async function stop(visitor, is_it, within = MANY) {
  const passed = [];
  for (let presses = 0; presses < within; presses++) {
    await visitor.page.keyboard.press('Tab');
    const at = await seen(visitor);
    if (is_it(at)) return at;
    passed.push(at.html);
  }
  throw new Error(`not reached within ${within} at ${visitor.place}: ${passed.join('\n')}`);
}

// Goes once through the whole page.
async function round(visitor) {
  const stops = [];
  for (let presses = 0; presses < MANY; presses++) {
    await visitor.page.keyboard.press('Tab');
    const at = await seen(visitor);
    if (at.html === null || stops.some(({ index }) => index === at.index)) return stops;
    stops.push(at);
  }
  throw new Error(`no end at ${visitor.place}`);
}

async function type(visitor, name, text) {
  const is_there = await visitor.page.evaluate((name) => document.activeElement.name === name, name);
  if (!is_there) await stop(visitor, (at) => at.name === name);
  await visitor.page.keyboard.press('Control+A');
  await visitor.page.keyboard.type(text);
}
