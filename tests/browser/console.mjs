// The console: a reviewer finds a session and looks into it, an administrator ends it. With script and without, on small screens and wide.
import assert from 'node:assert/strict';

import { fits, look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api, api_session, password } from './visitor.mjs';

const MARKUP = '<img src=x onerror=alert(1)>';
const AGENT = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';
const LIST = '/console/sessions';

await scenario(async ({ step, visitor }) => {
  const { session } = await api_session('alice', { device_name: MARKUP }, { 'user-agent': AGENT });
  for (let count = 0; count < 3; count += 1) await api_session('alice', {}, { 'user-agent': `${AGENT} ${MARKUP}` });
  const rows = ({ page }) => page.locator('main tbody tr');
  const unfold = async ({ page }) => {
    const folded = page.locator('main details:not([open]) > summary');
    while ((await folded.count()) > 0) await folded.first().click();
  };

  for (const [name, options, how] of [
    ['wide', { viewport: { width: 1280, height: 900 } }, {}],
    ['small', { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true }, {}],
    ['english', { viewport: { width: 1280, height: 900 }, locale: 'en-GB', colorScheme: 'dark' }, { language: 'en' }],
    ['without-script', { viewport: { width: 320, height: 640 }, javaScriptEnabled: false }, { script: false }],
  ]) {
    const nadia = await visitor(options);
    const take = (what) => nadia.page.screenshot({ path: picture(`console-${what}-${name}`), fullPage: true });
    const check = async (what) => {
      await look(nadia, how);
      await fits(nadia, what);
      await take(what);
    };

    await step(`${name}: a reviewer comes to the list`, async () => {
      await nadia.logged_in_to_console('nadia');
      await check('sessions');
      assert.ok((await rows(nadia).count()) >= 5);
      assert.equal(await nadia.page.locator('nav a[href="/console"][aria-current="true"]').count(), 1);
      assert.equal(await nadia.page.locator('main img').count(), 0, 'web_05: what a client says of itself is text');
      const { length } = await nadia.answer.body();
      assert.ok(length < 100_000, `${length} bytes`);
    });

    await step(`${name}: the form filters, and its address can be handed on`, async () => {
      await unfold(nadia);
      await check('filters');
      await nadia.fill({ user: 'alice', user_agent: 'chrome/141' });
      await nadia.field('not_state').selectOption('ended');
      await nadia.field('started_from').fill('2026-01-01T00:30');
      await nadia.field('sort').selectOption('started_at');
      await nadia.leave(() => nadia.page.locator('.filters button').click());
      assert.match(nadia.place, /^\/console\/sessions\?user=alice&not_state=ended&user_agent=chrome%2F141&started_from=20(25|26)-[^&]*Z&sort=started_at$/);
      assert.match(await nadia.page.locator('main caption').innerText(), /la plus ancienne d'abord|oldest first/, 'a11y_04: the order');
      assert.equal(await nadia.page.locator('.chips li').count(), 4);
      await check('filtered');
      await nadia.leave(() => nadia.page.locator('.chips a').first().click());
      assert.equal(await nadia.page.locator('.chips li').count(), 3);
      await unfold(nadia);
      assert.equal(await nadia.field('user').inputValue(), '');
    });

    await step(`${name}: what is wrong is told at its field, and the rest is kept`, async () => {
      await nadia.page.locator('main [name=ip]').fill('192.0.2.300');
      await nadia.leave(() => nadia.page.locator('.filters button').click());
      assert.match(await nadia.alert(), /192\.0\.2\.7/);
      assert.equal(await nadia.page.locator('#filter-ip-0').inputValue(), '192.0.2.300');
      assert.equal(await nadia.page.locator('.chips li').count(), 3);
      await check('filter-refused');
    });

    await step(`${name}: a session is told whole, and leads to those like it`, async () => {
      await nadia.go(`${LIST}?user=alice`);
      await nadia.follow(`${LIST}/${session.id}`);
      await check('session');
      assert.equal(await nadia.page.locator('main a[href$="/end"]').count(), 0, 'no button that may not be pressed');
      assert.match(await nadia.text(), /<img src=x onerror=alert\(1\)>/);
      await nadia.leave(() => nadia.page.locator('main .near a').nth(1).click());
      assert.match(nadia.place, /^\/console\/sessions\?ip=127\.0\.0\.1$/);
      await nadia.go(`${LIST}?user=nobody`);
      assert.equal(await rows(nadia).count(), 0);
      await check('none');
      await nadia.context.close();
    });
  }

  for (const [name, options, how] of [
    ['with-script', { viewport: { width: 320, height: 640 } }, {}],
    ['scriptless', { javaScriptEnabled: false }, { script: false }],
  ]) {
    await step(`${name}: an administrator ends a session, and then the own`, async () => {
      const root = await visitor(options);
      const other = await api_session('alice');
      await root.go(`${LIST}/${other.session.id}`);
      root.is_at('/login');
      await root.log_in('root');
      root.is_at(`${LIST}/${other.session.id}`);
      await root.follow(`${LIST}/${other.session.id}/end`);
      await look(root, how);
      await fits(root, 'the page that asks');
      await root.page.screenshot({ path: picture(`console-end-${name}`), fullPage: true });
      await root.send(`${LIST}/${other.session.id}/end`, { note: 'vue ailleurs\net signalée' });
      root.is_at(`${LIST}/${other.session.id}`);
      await look(root, how);
      await fits(root, 'an ended session');
      assert.match(await root.text(), /vue ailleurs\s+et signalée/);
      await root.page.screenshot({ path: picture(`console-ended-${name}`), fullPage: true });
      const me = await api('/auth/me', undefined, { authorization: `Bearer ${other.access_token}` });
      assert.equal(me.status, 401);
      await root.go(`${LIST}?user=root&state=active`);
      await root.leave(() => root.page.locator('main tbody a.button').first().click());
      await root.leave(() => root.page.locator('main a[href$="/end"]').click());
      await root.leave(() => root.page.locator('main form[action$="/end"] button').click());
      root.is_at('/login');
      assert.equal(await root.cookie(), undefined);
      await root.context.close();
    });
  }

  await step('who may not read the console is told so', async () => {
    const alice = await visitor();
    await alice.logged_in('alice', password);
    assert.equal(await alice.page.locator('nav a[href="/console"]').count(), 0);
    await alice.go(LIST);
    assert.equal(alice.answer.status(), 403);
    await look(alice);
  });
});
