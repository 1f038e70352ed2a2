/** Web servers of devices, as the console's tests need them: one as routers have, and a hostile one. */

export interface Site extends AsyncDisposable {
  readonly port: number;
  readonly requests: { readonly path: string; readonly host: string | null }[];
}

type Answer = (request: Request, url: URL) => Response | Promise<Response>;

/** A server of HTTP on loopback. */
export function deviceSite(answer: Answer): Site {
  const requests: { path: string; host: string | null }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const url = new URL(request.url);
    requests.push({ path: url.pathname + url.search, host: request.headers.get("host") });
    return answer(request, url);
  });
  return {
    port: server.addr.port,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A picture of one dot. */
const DOT = Uint8Array.fromBase64(
  "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
);

/** A page with absolute paths, a form, a redirect, cookies and requests, as routers have them. */
export const PAGE: Answer = async (request, { pathname, search }) => {
  if (pathname === "/style.css") {
    return typed("text/css", `@import "/css/more.css"; h1 { background: url(/dot.gif) }`);
  }
  if (pathname === "/css/more.css") return typed("text/css", "h1 { color: rgb(1, 2, 3) }");
  if (pathname === "/dot.gif") return typed("image/gif", DOT);
  if (pathname === "/js/app.js") return typed("text/javascript", SCRIPT);
  if (pathname.startsWith("/api/")) return Response.json({ path: pathname, n: 1 });
  if (pathname === "/login" && request.method === "POST") {
    const password = String((await request.formData()).get("password"));
    const headers = new Headers({ location: "/home" });
    headers.append("set-cookie", `session=${encodeURIComponent(password)}; HttpOnly; Path=/`);
    headers.append("set-cookie", "theme=dark; Path=/");
    return new Response(null, { status: 303, headers });
  }
  if (pathname === "/login") {
    return html(`<form action="/login" method="post">
      <label>Password <input name="password"></label><button>Enter</button></form>`);
  }
  if (pathname === "/home") {
    const session = /session=([^;]*)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "nobody";
    return html(
      `<p>home of ${decodeURIComponent(session).replace("&", "&amp;")}</p><p id="seen"></p>
      <button onclick="location.href = '/deep/page?q=1'">By script</button>
      <script>document.getElementById("seen").textContent = "scripts see " + document.cookie;</script>`,
    );
  }
  if (pathname.startsWith("/deep/")) {
    return html(`<p>you are at ${pathname}${search}</p><a href="other">Next to it</a>
      <a href="https://elsewhere.invalid/">Elsewhere</a>`);
  }
  return html(`<title>Router</title><link rel="stylesheet" href="/style.css">
    <h1>Router</h1><a href="/login">Log in</a> <img src="/dot.gif" alt="">
    <p id="script"></p><p id="fetch"></p><p id="xhr"></p><script src="/js/app.js"></script>`);
};

const SCRIPT = `
  const say = (id, text) => document.getElementById(id).textContent = text;
  say("script", "script has run");
  fetch("/api/state").then((answer) => answer.json()).then(({ path, n }) => say("fetch", "fetch got " + path + " " + n));
  const xhr = new XMLHttpRequest();
  xhr.open("GET", "api/more");
  xhr.onload = () => say("xhr", "xhr got " + JSON.parse(xhr.responseText).path + " " + xhr.status);
  xhr.send();
  const picture = new Image();
  picture.src = "/dot.gif";
  document.body.append(picture);
`;

/** Tries what a page must not be able to do, and says what came of it. */
export const HOSTILE: Answer = (_, { pathname }) => {
  if (pathname !== "/begin") return html(`<a href="/begin">Begin</a>`);
  return html(`<title>hostile</title><script>${ATTEMPTS}</script>`);
};

const ATTEMPTS = `
  const [relay, outside] = [...new URL(document.baseURI).searchParams.keys()]
    .map((port) => "127.0.0.1:" + port);
  const attempt = async (work) => {
    try { return await work(); } catch { return "refused"; }
  };
  const event = (target, bad, good) => new Promise((resolve) => {
    target.addEventListener(bad, () => resolve("refused"));
    target.addEventListener(good, () => resolve("got through"));
  });
  // A worker's own fetch, which nobody has put another in the place of.
  const byWorker = (url) => new Promise((resolve) => {
    const code = "fetch(" + JSON.stringify(url) + ", { mode: 'no-cors' })" +
      ".then(() => postMessage('got through'), () => postMessage('refused'))";
    const worker = new Worker(URL.createObjectURL(new Blob([code])));
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => resolve("refused");
  });
  const tries = {
    origin: () => self.origin,
    keys: () => event(indexedDB.open("tunnel"), "error", "success"),
    cookies: () => (document.cookie = "a=1", document.cookie === "a=1" ? "its own" : document.cookie),
    parentDocument: () => parent.document.title,
    parentMoved: () => {
      top.location.href = "https://" + relay + "/#moved";
      return "asked";
    },
    opened: () => {
      // What the frame has installed does not see this click.
      addEventListener("click", (event) => event.stopImmediatePropagation(), true);
      const link = document.createElement("a");
      Object.assign(link, { href: "https://" + relay + "/", target: "_blank" });
      document.body.append(link);
      link.click();
      return "asked";
    },
    relay: () => byWorker("https://" + relay + "/"),
    outside: () => byWorker("http://" + outside + "/api/state"),
    picture: () => {
      const image = document.createElement("img");
      const outcome = event(image, "error", "load");
      image.setAttributeNS(null, "src", "http://" + outside + "/dot.gif");
      return outcome;
    },
    otherHost: async () => (await fetch("http://" + outside + "/api/state")).status,
    serviceWorker: () => navigator.serviceWorker.register("/sw.js").then(() => "registered"),
    socket: () => event(new WebSocket("wss://" + relay + "/tunnel", "tunnel.1"), "error", "open"),
    webtransport: () => new WebTransport("https://" + relay + "/tunnel").ready.then(() => "connected"),
    forgedMessage: () => {
      // The port is what counts; these have none.
      parent.postMessage({ type: "title", title: "forged" }, "*");
      parent.postMessage({ type: "navigate", url: "/", method: "GET", headers: [] }, "*");
      return "asked";
    },
    channel: () => (new BroadcastChannel("tunnel").postMessage("signed out"), "asked"),
  };
  (async () => {
    const found = {};
    for (const [name, work] of Object.entries(tries)) found[name] = await attempt(work);
    document.title = "<img src=x onerror='owned = 1'>";
    const element = document.createElement("p");
    element.id = "found";
    element.textContent = JSON.stringify(found);
    document.body.append(element);
    dispatchEvent(new Event("load"));
  })();
`;

function html(text: string): Response {
  return typed("text/html; charset=utf-8", `<!doctype html><meta charset="utf-8">${text}`);
}

function typed(type: string, body: BodyInit): Response {
  return new Response(body, { headers: { "content-type": type } });
}
