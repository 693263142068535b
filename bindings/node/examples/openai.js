/* openai.js BASE_URL: the OpenAI SDK, paying by the call with the key in EVM_PRIVATE_KEY. */
'use strict';

/* cut: openai */
const OpenAI = require('openai');
const { createFetch } = require('x402-native');

async function chat(baseURL, key) {
  const fetch = createFetch({ wallet: { evmKey: key } });
  const openai = new OpenAI({ baseURL, apiKey: 'none', fetch });
  const question = { model: 'test-model', messages: [{ role: 'user', content: 'hello' }] };
  const whole = await openai.chat.completions.create(question);
  console.log(whole.choices[0].message.content);
  for await (const part of await openai.chat.completions.create({ ...question, stream: true })) {
    process.stdout.write(part.choices[0]?.delta.content ?? ''); // each word as soon as it came
  }
  console.log();
  fetch.client.close();
}
/* end of cut */

chat(process.argv[2], process.env.EVM_PRIVATE_KEY);
