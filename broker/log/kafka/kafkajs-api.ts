import type { OffsetFetchAnswer, OffsetFetchRequest } from './offset-fetch.ts';
import type { ProduceAnswer, ProduceRequest } from './produce.ts';

/** The requests that we send, as kafkajs takes and gives them: offsets are decimal strings. */
export interface Api {
  Metadata: {
    request: { topics: readonly string[]; allowAutoTopicCreation: false };
    response: {
      brokers: readonly { nodeId: number; host: string; port: number }[];
      controllerId: number;
      topicMetadata: readonly {
        topicErrorCode: number;
        topic: string;
        isInternal: boolean;
        partitionMetadata: readonly { partitionErrorCode: number; partitionId: number; leader: number }[];
      }[];
    };
  };
  Produce: { request: ProduceRequest; response: ProduceAnswer };
  Fetch: {
    request: {
      replicaId: -1;
      isolationLevel: 1;
      maxWaitTime: number;
      minBytes: number;
      maxBytes: number;
      sessionId: number;
      sessionEpoch: number;
      topics: readonly {
        topic: string;
        partitions: readonly { partition: number; fetchOffset: string; maxBytes: number }[];
      }[];
      forgottenTopics: readonly { topic: string; partitions: readonly number[] }[];
    };
    /** Decoded by fetch-answer.ts. */
    response: unknown;
  };
  ListOffsets: {
    request: {
      replicaId: -1;
      isolationLevel: 0;
      topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: string }[] }[];
    };
    response: {
      responses: readonly {
        topic: string;
        partitions: readonly { partition: number; errorCode: number; offset: string }[];
      }[];
    };
  };
  OffsetCommit: {
    request: {
      groupId: string;
      groupGenerationId: number;
      memberId: string;
      topics: readonly {
        topic: string;
        partitions: readonly { partition: number; offset: string; metadata: string }[];
      }[];
    };
    response: {
      responses: readonly { topic: string; partitions: readonly { partition: number; errorCode: number }[] }[];
    };
  };
  OffsetFetch: { request: OffsetFetchRequest; response: OffsetFetchAnswer };
  GroupCoordinator: {
    request: { coordinatorKey: string; groupId: string; coordinatorType: 0 };
    response: { errorCode: number; coordinator: { nodeId: number; host: string; port: number } };
  };
  JoinGroup: {
    request: {
      groupId: string;
      sessionTimeout: number;
      rebalanceTimeout: number;
      memberId: string;
      protocolType: 'consumer';
      groupProtocols: readonly { name: string; metadata: Buffer }[];
    };
    response: {
      errorCode: number;
      generationId: number;
      leaderId: string;
      memberId: string;
      members: readonly { memberId: string; memberMetadata: Buffer }[];
    };
  };
  SyncGroup: {
    request: {
      groupId: string;
      generationId: number;
      memberId: string;
      groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[];
    };
    response: { errorCode: number; memberAssignment: Buffer };
  };
  Heartbeat: {
    request: { groupId: string; groupGenerationId: number; memberId: string };
    response: { errorCode: number };
  };
  LeaveGroup: { request: { groupId: string; memberId: string }; response: { errorCode: number } };
  CreateTopics: {
    request: {
      topics: readonly {
        topic: string;
        numPartitions: number;
        replicationFactor: number;
        configEntries: readonly { name: string; value: string }[];
      }[];
      timeout: number;
    };
    response: {
      topicErrors: readonly { topic: string; errorCode: number; errorMessage?: string | null }[];
    };
  };
  DeleteTopics: {
    request: { topics: readonly string[]; timeout: number };
    response: { topicErrors: readonly { topic: string; errorCode: number }[] };
  };
  DeleteRecords: {
    request: {
      topics: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[];
      timeout: number;
    };
    response: {
      topics: readonly { topic: string; partitions: readonly { partition: number; errorCode: number }[] }[];
    };
  };
  DescribeConfigs: {
    request: { resources: readonly { type: 2; name: string; configNames: readonly string[] }[] };
    response: {
      resources: readonly {
        errorCode: number;
        resourceName: string;
        configEntries: readonly { configName: string; configValue: string | null }[];
      }[];
    };
  };
  DeleteGroups: {
    request: readonly string[];
    response: { results: readonly { groupId: string; errorCode: number }[] };
  };
}
