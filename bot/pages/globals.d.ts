// What our pages find on the window, for the type checker alone: no browser is ever sent this file's meaning.

/** How long a page waits for what, in seconds: see `PagesRhythm` in bot/settings/rhythms.py. */
interface Patience {
  command_s: number;
  signal_s: number;
  session_s: number;
  offline_after_s: number;
  stream_starts_s: number;
  stream_silent_s: number;
  probe_every_s: number;
}

/** What somebody wants to book, as a website says it. */
interface Wish {
  therapist_id?: string;
  service?: string;
  source?: "profile" | "menu" | "price";
  duration?: number;
}

interface Window {
  /** The widget, once its script has run. */
  Janji?: Readonly<{ open(): void; close(): void; book(wish?: Wish): void }>;
}

interface BookingOfGuest {
  id: string;
  status: "new" | "searching" | "pending_accept" | "active" | "completed" | "cancelled" | "expired" | "no_show";
  service: NamedService;
  duration: number;
  price: MoneyAmount;
  price_text: string;
  location: GivenLocation | null;
  name: string | null;
  phone: string | null;
  therapist: PersonInBooking | null;
  progress: "on_the_way" | "delayed" | "arrived" | "completed" | "no_show" | null;
  created_at: string | null;
  starts_at: string | null;
  arrives_by: string | null;
}

interface BookingOfTherapist extends BookingOfGuest {
  guest: GuestInBooking;
  notes: string | null;
  earnings: MoneyAmount;
  earnings_text: string;
  feed: string;
}

interface BookingWithGuest extends BookingOfTherapist {
  receipts: BothReceipts;
  unread: number;
  typing: IsTyping | null;
  presence: GuestPresent | null;
}

interface BothReceipts {
  guest: Receipt;
  therapist: Receipt;
}

interface ClientSettings {
  locale_default: string;
  locales: string[];
  demo: boolean;
  demo_therapist_phone: string | null;
  /** Null where the settings could not be had. */
  map_default: MapCentre | null;
  app_store_url?: string | null;
  play_store_url?: string | null;
  fallback_after_s: number;
  patience: Patience;
}

interface DescribedService {
  id: string;
  name: string;
  description: string;
}

interface DurationPrice {
  minutes: number;
  price: MoneyAmount;
  price_text: string;
}

interface GivenLocation {
  address: string;
  latitude: number;
  longitude: number;
}

interface GuestInBooking {
  name: string | null;
  phone: string | null;
}

interface GuestPresent {
  guest: "online" | "away" | "offline";
}

interface IsTyping {
  by: "guest" | "therapist";
  on: boolean;
}

interface MapCentre {
  latitude: number;
  longitude: number;
  address: string;
}

interface MenuService extends DescribedService {
  durations: DurationPrice[];
}

interface MoneyAmount {
  amount: number;
  currency: string;
}

interface NamedService {
  id: string;
  name: string;
}

interface Offer {
  offer_id: string;
  booking: OfferedVisit;
  guest: OfferedGuest;
  distance_km: number | null;
  distance_text: string | null;
  respond_by: string;
  earnings: MoneyAmount;
  earnings_text: string;
  attempt: number;
  waiting_until: string | null;
}

interface OfferedGuest {
  name: string | null;
}

interface OfferedVisit {
  service_name: string;
  duration: number;
  address: string | null;
}

interface OpenOffer extends Offer {
  redacted?: boolean;
}

interface PersonInBooking {
  id: string;
  name: string;
  photo: string;
  rating: number;
}

interface Receipt {
  delivered: number;
  read: number;
}

interface ShownTherapist extends TherapistProfile {
  available: boolean;
  distance_km: number;
  distance_text: string;
  durations: number[];
}

interface TherapistProfile {
  id: string;
  name: string;
  photo: string;
  rating: number;
  rating_count: number;
  specialties: string[];
  languages: string[];
  gender: "female" | "male";
}

interface TherapistSession {
  therapist: PersonInBooking;
  available: boolean;
  offers: OpenOffer[];
  bookings: BookingWithGuest[];
  feeds: Record<string, number>;
  entries: import("/connection/feeds.js").Entry[];
  epoch: string;
  resync: boolean;
  locale: string;
  server_time: string;
}
