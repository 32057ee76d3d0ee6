// A few hundred bytes of emoji: what people send most, by name.
const all = `Smileys
😀 grinning|😄 smile|😂 tears of joy|🤣 rolling on the floor|😊 blush|🙂 slight smile|😉 wink|😍 heart eyes|😘 kiss|😎 sunglasses|🤔 thinking|😅 sweat smile|😇 halo|🥳 party face|🤩 star eyes|😴 sleeping|😭 crying|😢 tear|😬 grimace|🙄 rolling eyes|😮 surprised|😱 scream|🤯 mind blown|😡 angry|🤗 hug|🫡 salute|🤝 handshake|🥲 smile with tear
Hands
👍 thumbs up|👎 thumbs down|👏 clapping|🙌 raised hands|🙏 thanks|👋 wave|💪 strong|👌 ok|✌️ victory|🤞 fingers crossed|👀 eyes|🫶 heart hands
Hearts and signs
❤️ heart|🧡 orange heart|💛 yellow heart|💚 green heart|💙 blue heart|💜 purple heart|💔 broken heart|🔥 fire|✨ sparkles|⭐ star|🎉 party|🎂 cake|🎁 gift|✅ done|❌ no|⚠️ warning|❓ question|💡 idea|⏰ alarm|📌 pin
Things and nature
☕ coffee|🍕 pizza|🍎 apple|🍰 piece of cake|🍻 cheers|🚀 rocket|🚲 bicycle|🚆 train|✈️ plane|🏠 house|⛺ tent|🏔️ mountain|🌊 wave of water|☀️ sun|🌧️ rain|❄️ snow|🌈 rainbow|🌻 sunflower|🐶 dog|🐱 cat|🦊 fox|🐢 turtle|⚽ football|🎸 guitar|📷 camera|💻 laptop|📎 clip|📅 calendar`;

export const groups = all.split("\n").reduce((list, line, i) => {
  if (i % 2 === 0) list.push([line, []]);
  else list.at(-1)[1] = line.split("|").map((item) => [item.slice(0, item.indexOf(" ")), item.slice(item.indexOf(" ") + 1)]);
  return list;
}, []);
