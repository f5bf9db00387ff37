/**
 * The secret of this browser's session.
 *
 * The session's cookie goes to every port of its host, so that a page of another port could come by it. This secret
 * stays in the local storage of our own host and port, and goes to the server as a header beside the cookie.
 */

export const SECRET_HEADER = "Headrace-Session-Secret";
const KEY = "headrace.session-secret";
const IN_ADDRESS = /^#session-secret=([\w-]+)$/;

/** For a browser that keeps nothing: then the session lasts as long as the page does. */
let unkept: string | null = null;

export function sessionSecret(): string | null {
  try {
    return localStorage.getItem(KEY) ?? unkept;
  } catch {
    return unkept;
  }
}

export function keepSecret(secret: string): void {
  unkept = secret;
  try {
    localStorage.setItem(KEY, secret);
  } catch {
    // It stays in this page.
  }
}

export function forgetSecret(): void {
  unkept = null;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

/** Takes the secret out of the page's address, where a sign-in puts it. Call it before anything reads the address. */
export function takeSecretFromAddress(): void {
  const secret = IN_ADDRESS.exec(location.hash)?.[1];
  if (secret === undefined) return;
  keepSecret(secret);
  history.replaceState(null, "", location.pathname + location.search);
}

/** The headers that say whose session this is. Only our own server gets them, never the origin of content. */
export function sessionHeaders(url: string): Readonly<Record<string, string>> {
  const secret = url.startsWith("/") && !url.startsWith("//") ? sessionSecret() : null;
  return secret === null ? {} : { [SECRET_HEADER]: secret };
}
