// How a script is asked: each line of its input is a call as JSON, {"call", …}, and each line of its output the answer:
// {"is": …}, or {"failed": …} with what the package says of it.

import { createInterface } from 'node:readline';

export async function answerCalls(calls, describe) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, ...asked } = JSON.parse(line);
    let answer;
    try {
      answer = { is: (await calls[call](asked)) ?? null };
    } catch (error) {
      answer = { failed: await describe(error) };
    }
    console.log(JSON.stringify(answer));
  }
}

// What `oauth4webapi` and `openid-client` say of an error. They throw the same where an answer has a challenge, and leave its
// body for those who want to know more.
export async function describeError({ name, code, error, status, message, response }) {
  const body = response && !response.bodyUsed ? await response.json() : {};
  return { name, code, error: error ?? body.error, status, message };
}
