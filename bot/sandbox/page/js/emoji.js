// The short names people and bots use most; an unknown one is shown as it was written.

const TABLE = `+1 👍 thumbsup 👍 -1 👎 thumbsdown 👎 clap 👏 wave 👋 pray 🙏 raised_hands 🙌 muscle 💪 eyes 👀 ok_hand 👌 point_right 👉 point_up ☝️ hand ✋ raised_hand ✋ handshake 🤝 writing_hand ✍️
smile 😄 grinning 😀 joy 😂 slightly_smiling_face 🙂 wink 😉 thinking_face 🤔 sob 😭 sweat_smile 😅 tada 🎉 heart ❤️ broken_heart 💔 100 💯 fire 🔥 sparkles ✨ star ⭐ zap ⚡ boom 💥 rocket 🚀 ship 🚢 anchor ⚓ robot_face 🤖 ghost 👻
white_check_mark ✅ heavy_check_mark ✔️ ballot_box_with_check ☑️ x ❌ no_entry ⛔ no_entry_sign 🚫 warning ⚠️ exclamation ❗ question ❓ grey_question ❔ bangbang ‼️ rotating_light 🚨 sos 🆘 bell 🔔 no_bell 🔕 mute 🔇 loudspeaker 📢 mega 📣
red_circle 🔴 large_orange_circle 🟠 large_yellow_circle 🟡 large_green_circle 🟢 large_blue_circle 🔵 large_purple_circle 🟣 white_circle ⚪ black_circle ⚫ large_red_square 🟥 large_orange_square 🟧 large_yellow_square 🟨 large_green_square 🟩 large_blue_square 🟦 white_large_square ⬜ black_large_square ⬛ small_red_triangle 🔺 small_red_triangle_down 🔻
hourglass ⌛ hourglass_flowing_sand ⏳ stopwatch ⏱️ alarm_clock ⏰ timer_clock ⏲️ clock1 🕐 calendar 📅 date 📅 spiral_calendar_pad 🗓️ pager 📟 telephone_receiver 📞 phone ☎️ email 📧 envelope ✉️ incoming_envelope 📨 inbox_tray 📥 outbox_tray 📤
lock 🔒 unlock 🔓 closed_lock_with_key 🔐 key 🔑 shield 🛡️ gear ⚙️ wrench 🔧 hammer 🔨 hammer_and_wrench 🛠️ nut_and_bolt 🔩 link 🔗 chains ⛓️ package 📦 file_folder 📁 clipboard 📋 memo 📝 pencil 📝 pencil2 ✏️ page_facing_up 📄 scroll 📜 book 📖 books 📚 bookmark 🔖 label 🏷️ ticket 🎫 paperclip 📎 pushpin 📌 round_pushpin 📍 mag 🔍 bulb 💡 test_tube 🧪 microscope 🔬
bar_chart 📊 chart_with_upwards_trend 📈 chart_with_downwards_trend 📉 traffic_light 🚦 vertical_traffic_light 🚦 construction 🚧 checkered_flag 🏁 triangular_flag_on_post 🚩 white_flag 🏳️ dart 🎯 trophy 🏆 medal 🏅 crown 👑 busts_in_silhouette 👥 bust_in_silhouette 👤 female-firefighter 👩‍🚒 firefighter 🧑‍🚒 fire_engine 🚒 ambulance 🚑 fire_extinguisher 🧯 helmet_with_white_cross ⛑️ night_with_stars 🌃 sunny ☀️ crescent_moon 🌙 zzz 💤 ocean 🌊 globe_with_meridians 🌐 cloud ☁️ satellite_antenna 📡 computer 💻 desktop_computer 🖥️ floppy_disk 💾 electric_plug 🔌 battery 🔋
arrow_up ⬆️ arrow_down ⬇️ arrow_right ➡️ arrow_left ⬅️ arrow_upper_right ↗️ leftwards_arrow_with_hook ↩️ arrow_right_hook ↪️ arrows_counterclockwise 🔄 repeat 🔁 rewind ⏪ fast_forward ⏩ black_right_pointing_triangle ▶️ arrow_forward ▶️ double_vertical_bar ⏸️ pause_button ⏸️ black_square_for_stop ⏹️ record_button ⏺️ information_source ℹ️ heavy_plus_sign ➕ heavy_minus_sign ➖ one 1️⃣ two 2️⃣ three 3️⃣ new 🆕 up 🆙 ok 🆗 free 🆓 speech_balloon 💬 thought_balloon 💭 dollar 💵 moneybag 💰 coffee ☕ pizza 🍕 beers 🍻 cake 🍰 bug 🐛 turtle 🐢 snail 🐌 whale 🐳 octopus 🐙`;

const EMOJI = new Map();
const words = TABLE.split(/\s+/);
for (let i = 0; i + 1 < words.length; i += 2) EMOJI.set(words[i], words[i + 1]);

export const emoji = (name) => EMOJI.get(name.split("::")[0]) ?? null;

/** What the reaction picker offers. */
export const COMMON = ["+1", "white_check_mark", "eyes", "tada", "rocket", "x"];

/** What the bot listens to: a mark for the timeline, and a new incident from a message. */
export const MARKS = ["pushpin", "rotating_light"];
