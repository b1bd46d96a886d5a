// The back end of the application that moves to Vigie, cut down to its token middleware, which it keeps as it is.
// The middleware has Express's form, (req, res, next); a plain server carries it, so that Express need not be installed.
//
// JWT_SECRET is the shared secret. Prints `listening on http://ADDRESS`; ends when its input closes.
// GET anything with a bearer token: 200 {"userId", "role"}, or 401.

import { createServer } from 'node:http';
import jwt from 'jsonwebtoken';

const secret = process.env.JWT_SECRET;

function authenticate(req, res, next) {
  const token = req.headers.authorization?.split(' ')[1];
  if (!token) return refuse(res, 'Token manquant');
  try {
    req.user = jwt.verify(token, secret);
  } catch {
    return refuse(res, 'Token invalide');
  }
  next();
}

function refuse(res, message) {
  send(res, 401, { message });
}

function send(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function whoAmI(req, res) {
  send(res, 200, { userId: req.user.userId, role: req.user.role });
}

const server = createServer((req, res) => authenticate(req, res, () => whoAmI(req, res)));
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on('end', () => process.exit());
