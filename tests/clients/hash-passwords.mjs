// Makes the file that `vigie user import` reads, from passwords hashed as the Node application hashed them: bcrypt, cost 10.
//
// Input, one JSON object a line: {"username", "password", "role", "id"?, "disabled"?}
// Output, CSV (RFC 4180): id,username,role,password_hash,disabled

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import bcrypt from 'bcrypt';

const COST = 10;

const field = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const record = (...values) => console.log(values.map((value) => field(String(value))).join(','));

record('id', 'username', 'role', 'password_hash', 'disabled');
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue;
  const { id = randomUUID(), username, password, role, disabled = false } = JSON.parse(line);
  record(id, username, role, await bcrypt.hash(password, COST), disabled);
}
