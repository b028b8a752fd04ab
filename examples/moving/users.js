// The users of these programs, before and after: that is what stays as it is.

import { randomBytes, scrypt as scryptWithCallback, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const scrypt = promisify(scryptWithCallback);
const salt = randomBytes(16);
const { ANAS_PASSWORD } = process.env;
const ana = { id: "shop-1", email: "ana@example.org", name: "Ana Silva", hash: await scrypt(ANAS_PASSWORD, salt, 32) };

/** The user with this address and this password, if there is one. */
export async function verified({ email = "", password = "" } = {}) {
  const right = timingSafeEqual(await scrypt(String(password), salt, 32), ana.hash);
  return right && email === ana.email ? ana : undefined;
}

/** The user with this id. */
export const userOf = (id) => (id === ana.id ? ana : undefined);
