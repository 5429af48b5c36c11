// Makes newsletter/preflight/client_support.json: the bare figures of caniemail for the clients that most readers use.
// Where `npm install caniemail@2.0.2` was run: node client-figures.mjs > client_support.json
import { readFileSync } from "node:fs";

const CLIENTS = {
  "gmail.desktop-webmail": "Gmail web",
  "gmail.ios": "Gmail iOS",
  "gmail.android": "Gmail Android",
  "apple-mail.macos": "Apple Mail macOS",
  "apple-mail.ios": "Apple Mail iOS",
  "outlook.windows": "Outlook Windows",
  "outlook.outlook-com": "Outlook.com",
  "outlook.macos": "Outlook macOS",
  "outlook.ios": "Outlook iOS",
  "outlook.android": "Outlook Android",
  "yahoo.desktop-webmail": "Yahoo web",
  "yahoo.ios": "Yahoo iOS",
  "yahoo.android": "Yahoo Android",
  "samsung-email.android": "Samsung Email",
};

const folder = "node_modules/caniemail";
const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
// The versions of a client stand in the order of their tests; JSON.parse would put whole numbers ("16") before the rest.
const text = readFileSync(`${folder}/data/caniemail.json`, "utf8").replace(/"(\d+)":/g, '"v$1":');
const caniemail = JSON.parse(text);

// A figure may carry the number of a note ("a #1").
const newest = (versions) => (Object.values(versions ?? {}).at(-1) ?? "u")[0];
const figures = ({ stats }) =>
  Object.keys(CLIENTS)
    .map((client) => client.split("."))
    .map(([family, platform]) => newest(stats[family]?.[platform]))
    .join("");

const table = {
  source: `caniemail.com, by way of the npm package caniemail ${version} (${license})`,
  date: caniemail.last_update_date.slice(0, 10),
  key: "a letter for each client, in their order: y yes, a almost, n no, u unknown",
  clients: CLIENTS,
  features: Object.fromEntries(caniemail.data.map((feature) => [feature.slug, figures(feature)])),
};
console.log(JSON.stringify(table, null, 1));
