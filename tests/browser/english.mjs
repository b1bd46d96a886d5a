// Every page for a browser that asks for English.
import { look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { password } from './visitor.mjs';

const OWN = ['/account', '/account/sessions', '/account/attempts', '/account/password', '/account/export', '/logout'];
const english = { language: 'en' };

await scenario(async ({ step, visitor }) => {
  const eve = await visitor({ locale: 'en-GB' });

  for (const path of ['/login', '/privacy', '/accessibility', '/setup', '/reset']) {
    await step(`${path} speaks English`, async () => {
      await eve.go(path);
      await look(eve, english);
    });
  }

  await step('a refusal speaks English', async () => {
    await eve.go('/login');
    await eve.log_in('eve', 'three blue rabbits sleep');
    await look(eve, english);
    await eve.log_in('eve', password);
    eve.is_at('/account');
  });

  for (const path of OWN) {
    await step(`${path} speaks English`, async () => {
      await eve.go(path);
      eve.is_at(path);
      await look(eve, english);
      await eve.page.screenshot({ path: picture(`english${path.replaceAll('/', '-')}`), fullPage: true });
    });
  }

  await step('what is not there is told in English', async () => {
    await eve.go('/account/nothing-of-that-name');
    if (eve.answer.headers()['content-type'].startsWith('text/html')) await look(eve, english);
  });
});
