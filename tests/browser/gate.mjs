// Two sites behind a proxy, and the login page beside them: one login opens both, and what ends it closes both at the next click.
import assert from 'node:assert/strict';

import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api, api_session } from './visitor.mjs';

const [LOGIN, APP, WIKI] = process.env.VIGIE_SITES.split(' ');
const WANTED = `${APP}/rapports/%C3%A9t%C3%A9?b=c&d=%2F%20+&e=%F0%9F%A6%89`;
const GATE = '__Secure-vigie-gate';

// Follows a link on the page that is shown, as a click does.
async function click(visitor, address) {
  await visitor.leave(() =>
    visitor.page.evaluate((href) => document.body.appendChild(Object.assign(document.createElement('a'), { href })).click(), address),
  );
}

// What the application was asked: it shows that as its page.
async function shown(visitor, address) {
  await visitor.page.waitForURL(address);
  return JSON.parse(await visitor.text());
}

function header(asked, name) {
  return asked.headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

async function opens(visitor, address) {
  const asked = await shown(visitor, address);
  assert.equal(asked.target, address.slice(new URL(address).origin.length));
  assert.deepEqual(header(asked, 'x-auth-username'), ['alice']);
  return asked;
}

// The login page loads itself once more where the browser came from elsewhere.
async function asks_for_a_login(visitor, wanted) {
  await visitor.field('password').waitFor();
  const { origin, pathname, searchParams } = new URL(visitor.page.url());
  assert.deepEqual([origin, pathname, searchParams.get('return_to')], [LOGIN, '/login', wanted]);
}

async function end_by_api() {
  const { access_token } = await api_session('root');
  const authorization = { authorization: `Bearer ${access_token}` };
  const { body } = await api('/admin/sessions?user=alice', undefined, authorization);
  assert.ok(body.items.length > 0);
  for (const { id } of body.items) {
    assert.equal((await api(`/admin/sessions/${id}/end`, {}, authorization)).status, 204);
  }
}

async function gate_cookie(visitor) {
  const cookies = await visitor.context.cookies([LOGIN, APP, WIKI]);
  return cookies.filter(({ name }) => name === GATE);
}

await scenario(async ({ step, visitor }) => {
  const alice = await visitor();

  await step('a page leads to the login page, and from there to exactly that page', async () => {
    await alice.page.goto(WANTED);
    await asks_for_a_login(alice, WANTED);
    await look(alice);
    await alice.log_in('alice');
    await opens(alice, WANTED);
  });

  await step('the other site opens without another login', async () => {
    await click(alice, `${WIKI}/page?x=1`);
    await opens(alice, `${WIKI}/page?x=1`);
  });

  await step('no script of a site reads the cookie, and no application is given it', async () => {
    const [cookie, ...others] = await gate_cookie(alice);
    assert.deepEqual(others, []);
    const { httpOnly, secure, sameSite, domain, path, expires } = cookie;
    assert.deepEqual([httpOnly, secure, sameSite, domain, path, expires], [true, true, 'Lax', '.example.org', '/', -1]);
    await alice.context.addCookies([{ name: 'theme', value: 'dark', domain: 'wiki.example.org', path: '/' }]);
    await alice.page.goto(`${WIKI}/`);
    const asked = await opens(alice, `${WIKI}/`);
    assert.deepEqual(header(asked, 'cookie'), ['theme=dark']);
    assert.equal(await alice.page.evaluate(() => document.cookie), 'theme=dark');
    const told = await alice.page.evaluate(async () => (await fetch('/api')).text());
    assert.doesNotMatch(told, /vigie-gate|vgg_/);
  });

  await step('what the API ends is over at both sites at the next click', async () => {
    const second = await alice.context.newPage();
    await second.goto(`${APP}/left`);
    assert.match(await second.innerText('body'), /"target":"\/left"/);
    await end_by_api();
    await click(alice, `${WIKI}/next`);
    await asks_for_a_login(alice, `${WIKI}/next`);
    await second.reload();
    await second.locator('main [name=password]').waitFor();
    assert.equal(new URL(second.url()).searchParams.get('return_to'), `${APP}/left`);
    await second.close();
  });

  await step('a script is refused, and not led to a login page', async () => {
    const bob = await visitor();
    await bob.page.goto(`${APP}/`);
    await bob.field('password').waitFor();
    await alice.log_in('alice');
    await opens(alice, `${WIKI}/next`);
    await end_by_api();
    const asked = await alice.page.evaluate(async () => (await fetch('/api', { redirect: 'manual' })).status);
    assert.equal(asked, 401);
    const socket = await alice.page.evaluate(() => new Promise((resolve) => {
      const socket = new WebSocket(`wss://${location.host}/socket`);
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('refused');
    }));
    assert.equal(socket, 'refused');
    // The browser says that both were refused.
    alice.faults.length = 0;
  });

  await step('whoever logs out is logged out at both sites', async () => {
    await alice.page.goto(WANTED);
    await asks_for_a_login(alice, WANTED);
    await alice.log_in('alice');
    await opens(alice, WANTED);
    await alice.page.goto(`${LOGIN}/logout`);
    await alice.send('/logout');
    await alice.page.waitForURL(`${LOGIN}/login?why=logged-out`);
    assert.deepEqual(await gate_cookie(alice), []);
    for (const site of [APP, WIKI]) {
      await alice.page.goto(`${site}/again`);
      await asks_for_a_login(alice, `${site}/again`);
    }
  });

  await step('a second cookie of another host leads to a page that mends it, and never back and forth', async () => {
    const mallory = await visitor();
    await mallory.page.goto(`${APP}/`);
    await mallory.field('password').waitFor();
    await mallory.log_in('mallory');
    await mallory.page.waitForURL(`${APP}/`);
    const [{ value }] = await gate_cookie(mallory);
    await alice.log_in('alice');
    await opens(alice, `${WIKI}/again`);
    const toss = (domain, path) =>
      alice.context.addCookies([{ name: GATE, value, domain, path, secure: true, httpOnly: true, sameSite: 'Lax' }]);

    await toss('.example.org', '/rapports');
    await alice.page.goto(WANTED);
    const link = alice.page.locator(`main a[href^="${APP}/rapports/"]`);
    await link.waitFor();
    assert.equal(new URL(alice.page.url()).searchParams.get('why'), 'cookies');
    await look(alice);
    await alice.page.screenshot({ path: picture('gate-cookies'), fullPage: true });
    await alice.leave(() => link.click());
    await opens(alice, WANTED);

    // One that only the site itself can take away: the page comes again, and says what helps.
    await toss('app.example.org', '/');
    for (let times = 0; times < 2; times += 1) {
      await alice.page.goto(WANTED);
      await link.waitFor();
      assert.match(await alice.text(), /effacez les cookies de app\.example\.org/);
    }
    await alice.page.goto(`${WIKI}/elsewhere`);
    await opens(alice, `${WIKI}/elsewhere`);
  });
});
