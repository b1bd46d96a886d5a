// Before a session ends because nobody uses it, the page says so; one action goes on, and what was filled in stays.
import assert from 'node:assert/strict';

import { seen } from './focus.mjs';
import { accessible, look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api_session, password, url } from './visitor.mjs';

// In milliseconds, of an idle time of half an hour.
const MINUTE = 60_000;
const NEARLY = 28.5 * MINUTE;
const TYPED = 'le poste du guichet 3';

await scenario(async ({ step, visitor }) => {
  const ida = await visitor();
  const { clock, keyboard } = ida.page;
  const warning = ida.page.locator('form.idle [role=alert]');
  const said = async () => (await warning.allInnerTexts()).join('');
  await clock.install();

  await step('nothing is said while there is time', async () => {
    await ida.logged_in('ida');
    await ida.go('/account/password');
    await ida.field('current_password').fill(password);
    await clock.fastForward(20 * MINUTE);
    assert.equal(await said(), '');
  });

  await step('a11y_03: two minutes before the end it is said, in sight', async () => {
    await clock.fastForward(NEARLY - 20 * MINUTE);
    assert.match(await said(), /deux minutes/);
    assert.ok(await is_in_view(warning));
    await ida.page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    assert.ok(await is_in_view(warning), 'also at the end of the page');
    await accessible(ida.page, 'a page with a warning');
    await ida.page.screenshot({ path: picture('idle') });
  });

  await step('wcag 2.4.11: what has the focus is not under the warning', async () => {
    const size = ida.page.viewportSize();
    for (const [width, height] of [[320, 256], [320, 640], [size.width, size.height]]) {
      await ida.page.setViewportSize({ width, height });
      const stops = [];
      await ida.page.locator('footer button').last().focus();
      while (!(stops.at(-1)?.action ?? '').endsWith('/account/extend')) {
        await keyboard.press('Shift+Tab');
        stops.push(await seen(ida));
        assert.ok(stops.length < 30, `the warning is not reached: ${JSON.stringify(stops.map(({ html }) => html))}`);
      }
      assert.ok(stops.length > 6, `${stops.length} stops`);
    }
  });

  await step('a11y_03: one action by the keyboard goes on, and the form stays filled', async () => {
    const answered = ida.page.waitForResponse((response) => response.url().endsWith('/account/extend'));
    await ida.page.locator('form.idle button').focus();
    await keyboard.press('Enter');
    assert.equal((await answered).status(), 303);
    await warning.waitFor({ state: 'hidden' });
    assert.equal(await ida.field('current_password').inputValue(), password);
    ida.is_at('/account/password');
  });

  await step('it is said again when that time is nearly over, and when it is over', async () => {
    await clock.fastForward(NEARLY);
    const soon = await said();
    assert.match(soon, /deux minutes/);
    await clock.fastForward(2 * MINUTE);
    assert.notEqual(await said(), soon);
    await ida.page.screenshot({ path: picture('idle-over') });
  });

  await step('where the session is over by then, one logs in and comes back', async () => {
    await ida.context.clearCookies({ name: 'vigie' });
    await ida.leave(() => ida.page.locator('form.idle button').click());
    ida.is_at('/login');
    await ida.log_in('ida');
    ida.is_at('/account/password');
  });

  await step('a form that was half filled by then is shown again, and is not sent by itself', async () => {
    const { session, access_token } = await api_session('ida');
    const page = `/account/sessions/${session.id}/name`;
    await ida.go('/account/sessions');
    await ida.follow(page);
    await look(ida);
    await ida.page.screenshot({ path: picture('name'), fullPage: true });
    // Somebody else's hand ends this session, as time would.
    const own = await (await fetch(`${url}/auth/sessions`, { headers: { authorization: `Bearer ${access_token}` } })).json();
    for (const other of own.items.filter(({ current }) => !current)) {
      await fetch(`${url}/auth/sessions/${other.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${access_token}` } });
    }
    await ida.send(page, { name: TYPED });
    ida.is_at('/login');
    await ida.page.screenshot({ path: picture('login-with-form'), fullPage: true });
    await ida.log_in('ida');
    ida.is_at(page);
    assert.equal(await ida.field('name').inputValue(), TYPED);
    await look(ida);
    await ida.page.screenshot({ path: picture('form-again'), fullPage: true });
    await ida.page.setViewportSize({ width: 320, height: 640 });
    await ida.page.screenshot({ path: picture('form-again-320'), fullPage: true });
    await ida.page.setViewportSize({ width: 1280, height: 800 });
    await ida.send(page);
    ida.is_at('/account/sessions');
    assert.match(await ida.text(), new RegExp(TYPED));
    await look(ida);
    await ida.page.screenshot({ path: picture('sessions-named'), fullPage: true });
    await ida.page.setViewportSize({ width: 320, height: 640 });
    await ida.page.screenshot({ path: picture('sessions-named-320'), fullPage: true });
  });
});

function is_in_view(locator) {
  return locator.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return bottom > 0 && top < innerHeight && bottom <= innerHeight + 1;
  });
}
